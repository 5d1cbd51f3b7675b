"""Names, things and plain English words from which conversations are made."""

HE = """Tom Ben Sam Max Leo Jack Paul Mark Luke John James Peter David Adam Noah Liam Ethan Lucas
Oliver Henry Oscar Felix Simon Martin Daniel Robert Thomas George Frank Victor Carlos Diego Mateo
Pedro Marco Luca Ivan Igor Yusuf Omar Ali Ahmed Hassan Raj Arjun Ravi Kenji Hiro Wei Jun Ming Tao
Bob Bill Joe Nick Tim Jim Eric Kevin Brian Alex Chris Michael Andrew Josh Ryan Jacob Tony Will
Charlie Dan Greg Carl Fred Harry Jerry Larry""".split()

SHE = """Anna Emma Mia Lily Lucy Kate Sara Nina Eva Zoe Ella Julia Laura Maria Sofia Clara Alice
Grace Rose Ruby Olivia Amelia Chloe Hannah Helen Irene Jane Karen Linda Nora Paula Rita Susan Tina
Vera Wendy Yara Aisha Fatima Leila Priya Anita Meera Yuki Hana Mei Ling Xia Lan Ying Betty Carol
Diana Fiona Gina Ivy Jenny Kelly Lisa Mary Natalia Jessica Sarah Emily Megan Rachel Amy Ann Sally
Marie Claire Janet Tracy Wanda""".split()

HE_ROLES = """farmer baker teacher boy man student child shopkeeper gardener cook driver doctor "
             "painter
king neighbor worker father brother uncle fisherman carpenter postman""".split()

SHE_ROLES = """farmer baker teacher girl woman student child shopkeeper gardener cook driver doctor
painter queen neighbor worker mother sister aunt nurse dancer singer""".split()

# singular, plural
FOOD = [tuple(pair.split("/")) for pair in """apple/apples orange/oranges banana/bananas
cookie/cookies sweet/sweets candy/candies cherry/cherries grape/grapes peach/peaches pear/pears
plum/plums muffin/muffins cupcake/cupcakes donut/donuts biscuit/biscuits nut/nuts egg/eggs
strawberry/strawberries lemon/lemons mango/mangoes carrot/carrots tomato/tomatoes
sandwich/sandwiches pancake/pancakes date/dates chocolate/chocolates pretzel/pretzels fig/figs
berry/berries cake/cakes""".split()]

GOODS = [tuple(pair.split("/")) for pair in """marble/marbles sticker/stickers pencil/pencils
pen/pens book/books card/cards stamp/stamps coin/coins shell/shells button/buttons balloon/balloons
ball/balls toy/toys doll/dolls car/cars block/blocks bead/beads crayon/crayons ribbon/ribbons
flower/flowers rose/roses tulip/tulips plant/plants candle/candles cup/cups plate/plates bowl/bowls
bottle/bottles basket/baskets shirt/shirts hat/hats sock/socks scarf/scarves shoe/shoes bag/bags
notebook/notebooks folder/folders key/keys lamp/lamps chair/chairs poster/posters badge/badges
photo/photos postcard/postcards comic/comics puzzle/puzzles game/games kite/kites stone/stones
rock/rocks feather/feathers ticket/tickets brush/brushes rubber/rubbers ruler/rulers tile/tiles
brick/bricks nail/nails screw/screws battery/batteries magnet/magnets euro/euros
dollar/dollars point/points pet/pets seed/seeds roll/rolls""".split()]

CONTAINERS = [tuple(pair.split("/")) for pair in """box/boxes bag/bags basket/baskets pack/packs
packet/packets crate/crates jar/jars tray/trays carton/cartons case/cases bucket/buckets
shelf/shelves row/rows bundle/bundles""".split()]

# What people do for some minutes a day.
PASTIMES = """reading running swimming painting dancing cooking singing drawing walking cycling
gardening studying training skating knitting""".split()

PLACES = """shop market school library park farm bakery store garden kitchen office factory museum
zoo station cafe club camp hotel town""".split()

NUMBER_WORDS = ("zero one two three four five six seven eight nine ten eleven twelve").split()

# Everyday English, so that the tokenizer knows more than the problems need, and
# so that questions outside arithmetic can be made from it and turned down.
WORDS = """
able about above accept accident account across act action active actor actress add address admire
advice afraid after again age agree air airport alarm alive all allow almost alone already although
always among amount ancient anger angry animal answer ant any appear area argue arm army around
arrive art article artist ask asleep atom attack attention aunt autumn average avoid awake away baby
back bacon bad bake balance bank bar bath battle beach bean bear beard beat beautiful because become
bed bee beer before begin behave behind believe bell belong below bend berry best better between
bicycle big bike bird birth birthday bite bitter black blame blanket blind blood blow blue board
boat body bomb bone border boring born borrow boss both bottom brain branch brave bread break
breakfast breath bridge bright bring brother brown build building burn bus business busy butter
butterfly buy calculate call calm camera can cancel capital captain care careful carpet carry castle
cat catch cause ceiling cell center century chain chance change chapter character charge cheap check
cheese chemical chess chicken chief child children choice choose church cinema circle city class
clean clear clever climb clock close cloth clothes cloud code coffee cold collect college color
colour come common company compare competition complain computer condition continue control cook
cool copper copy corn corner correct cost cotton cough country couple courage course cousin cover
cow crazy cream create crime cross crowd cry culture cure curious current curtain customer cut cycle
damage dance danger dangerous dark data daughter day dead deal dear death decide decision deep deer
degree democracy dentist depend describe desert design desk destroy detail develop diamond
dictionary die difference different difficult dinner dinosaur direction dirty discover discuss
disease distance divide doctor dog dollar door double doubt down dragon draw dream dress drink drive
driver drop drug dry duck dust duty each eagle ear early earn earth east easy eat economy edge
education effect effort eight either elbow election electric electricity elephant eleven email
empire empty encourage end enemy energy engine engineer enjoy enough enter equal error escape essay
even evening event ever every evidence exact example excellent except excuse exercise exist expect
expensive experience explain eye face fact fail fair faith fall family famous far farm farmer fast
fat father favorite favourite fear feed feel female fence fever few field fight figure fill film
final find finger finish fire first fish five fix flag flat flight floor flour flower fly fog follow
food fool foot football for force foreign forest forget forgive fork form forward four fox fraction
free freedom fresh friend friendly frog from front fruit full fun funny furniture future galaxy game
garden gas gate general gentle geography get giant gift girl give glad glass go goal goat god gold
good government grammar grandfather grandmother grass gravity great green greet grey ground group
grow guess guest guide guitar gun habit hair half hall hammer hand happen happy hard hate have head
health hear heart heat heaven heavy height hello help hen here hero hide high hill history hit hobby
hold hole holiday home honest honey hope horse hospital hot hotel hour house how however huge human
hundred hungry hunt hurry hurt husband ice idea ill imagine important improve include increase
industry information insect inside instead instrument interest international internet invent
invite iron island jacket job join joke journey joy juice jump justice keep kid kill kind king
kitchen knee knife knock know knowledge lady lake land language large last late laugh law lawyer
lazy lead leader learn least leather leave left leg lemon lend less lesson letter library lie life
lift light like limit line lion lip list listen literature little live local long look lose lost
loud love low luck lucky lunch machine magic mail main make male man manage many map market marry
math matter may maybe meal mean measure meat medicine meet member memory mention menu message metal
meter method middle might mile milk million mind minute mirror miss mistake mix model modern moment
money monkey month moon more morning most mother motor mountain mouse mouth move movie much mud
multiply murder muscle music must name narrow nation nature near nearly neck need needle neighbor
neighbour neither nerve never new news newspaper next nice night nine no noise none noon north nose
not note nothing notice novel now number nurse object ocean of offer office officer often oil old
once onion only open opera opinion opposite orange order ordinary other outside over own page pain
paint pair palace paper parent park part particular partner party pass passenger past path pattern
pay peace peasant pen people pepper perfect perhaps period permit person phone photograph physics
piano pick picture piece pig pilot pink pipe place plan plane planet plant plastic play player
pleasant please plenty pocket poem poet point poison police polite politics pool poor popular
population possible post potato pour power practice praise pray prefer prepare present president
press pretty prevent price prince princess print prison private prize probably problem produce
professor program programming promise proper protect proud prove public pull punish pupil pure
purple purpose push put python quality queen question quick quiet quite rabbit race radio rain
rather reach read ready real reason receive recipe record red religion remember rent repair repeat
reply report rest restaurant result return rice rich ride right ring rise river road robot rock
rocket roof room root rope rough round rule run sad safe sail salt same sand satellite save say
scene school science scientist scissors score sea search season seat second secret see seed seem
sell send sense sentence separate serious servant serve seven several shade shadow shake shape share
sharp she sheep sheet shine ship shop short should shoulder shout show shower shut sick side sign
silence silver similar simple since sing single sister sit six size skill skin skirt sky sleep slip
slow small smart smell smile smoke smooth snake snow so soap social society soft software soil
soldier solve some son song soon sort soul sound soup south space speak special speed spell spend
spider spirit spoon sport spread spring square stage stand star start state station stay steal
steam step still stock stomach stop storm story strange street stress strong student study stupid
subject substance subtract success such sudden suffer sugar suggest suit sum summer sun sure surface
surprise sweet swim symbol system table tail take talk tall tax tea teach teacher team tear
telephone television tell ten tennis terrible test than thank the theater theory thick thin thing
think third thirty thousand three throat through throw thunder tie tiger tight time tiny tired title
to today toe together tomato tomorrow tone tongue tonight too tool tooth top total touch toward
tower town trade traffic train translate travel treat tree triangle trip trouble truck true trust
truth try turn twelve twenty twice type ugly umbrella uncle under understand unit universe
university until up use useful usual vacation valley value various vegetable verb very victory video
village violin virus visit voice volcano vote wage wait wake walk wall want war warm wash waste
watch water wave way weak wealth weapon wear weather website week weigh weight welcome well west wet
whale what wheat wheel when where which while white who whole why wide wife wild will win wind
window wine wing winter wire wise wish with without wolf woman wonder wood wool word work worker
world worry worse worst worth would write writer wrong yard year yellow yes yesterday yet young
zebra zero
""".split()

# Any of them can be counted in a problem, so that the models learn to copy every word.
_NOT_COUNTED = """about above after again almost alone already although always another because
before behind below between dollar during either enough every from have into least many maybe more
most much must near need neither never only other past probably quite rather remain should since
some soon still such than that then there third three through today together tomorrow tonight
toward under until used very what when where which while whole will with without would yesterday
half hundred thousand million minute hour week month year times""".split()
COUNTABLE = [word for word in WORDS
             if len(word) > 3 and word[-1] not in "sxyh"
             and word not in _NOT_COUNTED + NUMBER_WORDS]

# Who, where and what people ask assistants about.
TOPICS = """France Germany China Japan India Brazil Canada Australia Spain Italy Egypt Russia
Mexico England London Paris Berlin Tokyo Beijing Shanghai Einstein Newton Shakespeare Mozart
Beethoven Napoleon Caesar Darwin Hamlet Python JavaScript Linux Google Bitcoin Mars Jupiter
photosynthesis gravity evolution democracy philosophy quantum mechanics""".split()
