// Compiled once per instruction set, each time with that set's flags and with
// WEFT_ISA as its name (CMakeLists.txt).
#include "worker/ops/cpu/attention.inc.h"
#include "worker/ops/cpu/gemm.inc.h"
#include "worker/ops/cpu/kernels.h"
#include "worker/ops/cpu/rowwise.inc.h"

#define WEFT_STRING(x) #x
#define WEFT_NAME(x) WEFT_STRING(x)

namespace weft::worker::ops::cpu::WEFT_ISA {

extern const Kernels kKernels;
const Kernels kKernels = {
    .isa = WEFT_NAME(WEFT_ISA),
    .f32 = {Gemm<float, float>, Gemm<float, float>, RmsNorm<float>, Add<float>, RopeAndStore<float>,
            Attend<float>, SiluMul<float>},
    .bf16 = {Gemm<BF16, BF16>, Gemm<BF16, float>, RmsNorm<BF16>, Add<BF16>, RopeAndStore<BF16>,
             Attend<BF16>, SiluMul<BF16>},
};

}  // namespace weft::worker::ops::cpu::WEFT_ISA
