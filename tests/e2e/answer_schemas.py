"""Twenty JSON schemas of the sizes that applications ask with. Strings and lists are
bounded: what is not, a small model may go on with until its tokens run out."""


def text(most=40, **more):
    return {"type": "string", "minLength": 1, "maxLength": most, **more}


def integer(low, high):
    return {"type": "integer", "minimum": low, "maximum": high}


def number(low, high):
    return {"type": "number", "minimum": low, "maximum": high}


def one_of(*values):
    return {"type": "string", "enum": list(values)}


def several(items, most=3, least=0):
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def record(**properties):
    """Strict, as OpenAI wants it: everything is required and nothing else is allowed."""
    return {"type": "object", "properties": properties, "required": list(properties),
            "additionalProperties": False}


MOMENT = text(20, pattern="^20[0-9]{2}-(0[1-9]|1[0-2])-[0-2][0-9]T[0-2][0-9]:[0-5][0-9]Z$")
DATE = {"type": "string", "format": "date"}
CURRENCY = one_of("EUR", "USD", "GBP", "CNY", "JPY")
ADDRESS = record(street=text(), number=integer(1, 999), city=text(30),
                 postcode=text(10, pattern="^[0-9]{5}$"), country=one_of("DE", "FR", "US", "CN"))

SCHEMAS = {
    "address": ADDRESS,
    "math_solution": record(steps=several(record(explanation=text(60), result=number(-1e6, 1e6))),
                            final_answer=integer(-99999, 99999)),
    "sentiment": record(label=one_of("positive", "neutral", "negative"), score=number(0, 1),
                        reasons=several(text(50))),
    "invoice": record(number=text(12, pattern="^INV-[0-9]{4,6}$"), issued=DATE, customer=ADDRESS,
                      lines=several(record(item=text(), quantity=integer(1, 100),
                                           unit_price=number(0, 10000)), 4, 1),
                      currency=CURRENCY, paid={"type": "boolean"}),
    "calendar_event": record(title=text(), starts=MOMENT,
                             minutes=integer(5, 480), attendees=several(text(30), 5),
                             recurrence=one_of("none", "daily", "weekly", "monthly"),
                             location={"type": ["string", "null"], "maxLength": 40}),
    "product": record(sku=text(9, pattern="^[A-Z]{3}-[0-9]{5}$"), name=text(), price=number(0, 9999),
                      in_stock={"type": "boolean"}, tags=several(text(15), 5),
                      dimensions=record(width=integer(1, 500), height=integer(1, 500),
                                        depth=integer(1, 500))),
    "support_ticket": record(summary=text(80), severity=one_of("low", "medium", "high", "urgent"),
                             component=one_of("billing", "login", "api", "other"),
                             steps=several(text(60), 4), customer_id=integer(1, 10**6)),
    "recipe": record(name=text(), servings=integer(1, 12),
                     ingredients=several(record(name=text(25), amount=number(0, 5000),
                                                unit=one_of("g", "ml", "piece", "tsp")), 5, 1),
                     instructions=several(text(80), 4, 1)),
    "review_finding": record(file=text(50), line=integer(1, 20000),
                             kind=one_of("bug", "style", "security", "performance"),
                             message=text(120), fix={"type": ["string", "null"], "maxLength": 80}),
    "unit_conversion": record(value=number(-1e6, 1e6), unit=one_of("m", "km", "mile", "foot"),
                              converted=record(value=number(-1e6, 1e6),
                                               unit=one_of("m", "km", "mile", "foot"))),
    "quiz_question": record(question=text(100), choices=several(text(30), 4, 4),
                            correct=integer(0, 3), difficulty=one_of("easy", "medium", "hard")),
    "resume": record(name=text(30), email={"type": "string", "format": "email", "maxLength": 40},
                     skills=several(text(20), 6, 1),
                     jobs=several(record(company=text(30), title=text(30), since=integer(1970, 2030),
                                         until={"anyOf": [integer(1970, 2030), {"type": "null"}]}))),
    "flight": record(carrier=text(2, pattern="^[A-Z]{2}$"), flight=integer(1, 9999),
                     legs=several(record(**{"from": text(3, pattern="^[A-Z]{3}$"),
                                            "to": text(3, pattern="^[A-Z]{3}$"),
                                            "minutes": integer(30, 1200)}), 3, 1),
                     cabin=one_of("economy", "business", "first")),
    "triples": record(triples=several(record(subject=text(30), predicate=text(30), object=text(30)),
                                      5, 1)),
    "log_event": record(level=one_of("debug", "info", "warn", "error"), service=text(20),
                        message=text(100), trace=text(32, pattern="^[0-9a-f]{32}$"),
                        fields={"type": "object", "maxProperties": 3,
                                "patternProperties": {"^[a-z]{1,10}$": text(20)},
                                "additionalProperties": False}),
    "deployment": record(name=text(30, pattern="^[a-z][a-z0-9-]{0,20}$"), replicas=integer(1, 50),
                         resources=record(cpu=number(0.1, 64), memory_mb=integer(64, 65536)),
                         ports=several(integer(1, 65535), 4),
                         strategy=one_of("rolling", "recreate")),
    "survey": record(respondent={"type": "string", "format": "uuid"},
                     answers=several(record(question=integer(1, 50), score=integer(1, 5),
                                            comment={"type": ["string", "null"],
                                                     "maxLength": 60}), 4, 1)),
    "game_move": record(piece=one_of("king", "queen", "rook", "bishop", "knight", "pawn"),
                        origin=text(2, pattern="^[a-h][1-8]$"),
                        target=text(2, pattern="^[a-h][1-8]$"), check={"type": "boolean"}),
    "transfer": {**record(account=text(22, pattern="^DE[0-9]{20}$"),
                          amount={"$ref": "#/$defs/money"}, fee={"$ref": "#/$defs/money"},
                          reference=text(60), execute=DATE),
                 "$defs": {"money": record(value=number(0, 1e6), currency=CURRENCY)}},
    "shape": record(shape={"anyOf": [
        record(kind={"const": "circle"}, radius=number(0, 100)),
        record(kind={"const": "box"}, width=number(0, 100), height=number(0, 100)),
        record(kind={"const": "polygon"},
               points=several(several(number(-100, 100), 2, 2), 5, 3))]}),
}
