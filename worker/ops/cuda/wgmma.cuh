// Hopper's warpgroup matrix multiply (sm_90a): the few shapes that prefill attention and
// tile linear need. Four warps multiply together, 64 rows, while their threads go on;
// operands from shared memory are named by descriptors, sums lie in registers.
//
// Sums: thread `lane` of warp w holds, of rows 16 w + lane / 4 + 8 i (i = 0, 1) and
// columns 8 n + lane % 4 * 2 + j, sum[4 n + 2 i + j]. A left operand in registers
// lies in the same way, two numbers a register, 16 columns at a time.
//
// In flight, from the call until WaitForMultiplies, the registers given may not be
// touched. The compiler knows no more of this than Settle tells it.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

namespace weft::worker::ops::cuda {

// An operand in the 128-byte swizzle: groups of eight rows of 128 bytes, 1024-byte
// aligned, row r's 16-byte chunk c at c ^ (r & 7).
//   reduction along the 128 bytes (queries, keys): the next eight rows of the operand
//     are `kGroupBytes` on; the leading stride has no meaning.
//   reduction across rows (values): the next eight rows are `kGroupBytes` on, the next
//     64 columns `leading_bytes` on.
__device__ __forceinline__ uint64_t Operand(uint32_t shared_address, uint32_t leading_bytes = 16) {
  constexpr uint64_t kGroupBytes = 1024;
  constexpr uint64_t kSwizzle128 = uint64_t{1} << 62;
  return kSwizzle128 | (kGroupBytes >> 4) << 32 | static_cast<uint64_t>(leading_bytes >> 4) << 16 |
         ((shared_address & 0x3ffff) >> 4);
}

// The same operand, `bytes` further on.
__device__ __forceinline__ uint64_t Advance(uint64_t operand, uint32_t bytes) {
  return operand + (bytes >> 4);
}

// Before the first multiply, and after registers that multiplies use were written.
__device__ __forceinline__ void BeginMultiplies() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

// Ends a batch of multiplies, the unit that WaitForMultiplies counts.
__device__ __forceinline__ void EndMultiplies() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// Until at most the kLeft newest batches are in flight.
template <int kLeft>
__device__ __forceinline__ void WaitForMultiplies() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLeft) : "memory");
}

// Pins reads and writes of `values` to their side of this place in the program.
template <int kCount>
__device__ __forceinline__ void Settle(float (&values)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(values[i])::"memory");
}
template <int kCount>
__device__ __forceinline__ void Settle(uint32_t (&values)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+r"(values[i])::"memory");
}

#define WEFT_SUMS_4(d, i) "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3])
#define WEFT_SUMS_16(d, i) \
  WEFT_SUMS_4(d, i), WEFT_SUMS_4(d, (i) + 4), WEFT_SUMS_4(d, (i) + 8), WEFT_SUMS_4(d, (i) + 12)
#define WEFT_SUMS_32(d) WEFT_SUMS_16(d, 0), WEFT_SUMS_16(d, 16)
#define WEFT_SUMS_64(d) \
  WEFT_SUMS_16(d, 0), WEFT_SUMS_16(d, 16), WEFT_SUMS_16(d, 32), WEFT_SUMS_16(d, 48)
#define WEFT_NAMES_32                                                                \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, " \
  "%18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define WEFT_NAMES_64                                                                       \
  WEFT_NAMES_32                                                                             \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, " \
  "%49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"

// sum[64 rows, 128] (+)= left[64 rows, 16] * right[128 rows, 16]^T, both from shared
// memory, 16 columns of 128-byte rows. `add`: 0 overwrites the sums.
#define WEFT_MULTIPLY_SHARED(type)                                                    \
  asm volatile(                                                                       \
      "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"                                    \
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type " {" WEFT_NAMES_64 \
      "}, "                                                                           \
      "%64, %65, p, 1, 1, 0, 0;\n}\n"                                                 \
      : WEFT_SUMS_64(sum)                                                             \
      : "l"(left), "l"(right), "r"(add))

template <class T>
__device__ __forceinline__ void MultiplyShared(float (&sum)[64], uint64_t left, uint64_t right,
                                               int add);
template <>
__device__ __forceinline__ void MultiplyShared<__nv_bfloat16>(float (&sum)[64], uint64_t left,
                                                              uint64_t right, int add) {
  WEFT_MULTIPLY_SHARED("bf16");
}
template <>
__device__ __forceinline__ void MultiplyShared<__half>(float (&sum)[64], uint64_t left,
                                                       uint64_t right, int add) {
  WEFT_MULTIPLY_SHARED("f16");
}

// sum[64 rows, N] (+)= left[64 rows, 16] * right[16 rows, N], left from registers,
// right's rows in shared memory; N = 128 or 64, two sums a thread for each four columns.
#define WEFT_MULTIPLY_REGISTERS_128(type)                                             \
  asm volatile(                                                                       \
      "{\n.reg .pred p;\nsetp.ne.b32 p, %69, 0;\n"                                    \
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type " {" WEFT_NAMES_64 \
      "}, "                                                                           \
      "{%64, %65, %66, %67}, %68, p, 1, 1, 1;\n}\n"                                   \
      : WEFT_SUMS_64(sum)                                                             \
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right), "r"(add))
#define WEFT_MULTIPLY_REGISTERS_64(type)                                             \
  asm volatile(                                                                      \
      "{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n"                                   \
      "wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type " {" WEFT_NAMES_32 \
      "}, "                                                                          \
      "{%32, %33, %34, %35}, %36, p, 1, 1, 1;\n}\n"                                  \
      : WEFT_SUMS_32(sum)                                                            \
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right), "r"(add))

template <class T>
__device__ __forceinline__ void MultiplyRegisters(float (&sum)[64], const uint32_t (&left)[4],
                                                  uint64_t right, int add);
template <>
__device__ __forceinline__ void MultiplyRegisters<__nv_bfloat16>(float (&sum)[64],
                                                                 const uint32_t (&left)[4],
                                                                 uint64_t right, int add) {
  WEFT_MULTIPLY_REGISTERS_128("bf16");
}
template <>
__device__ __forceinline__ void MultiplyRegisters<__half>(float (&sum)[64],
                                                          const uint32_t (&left)[4], uint64_t right,
                                                          int add) {
  WEFT_MULTIPLY_REGISTERS_128("f16");
}
template <class T>
__device__ __forceinline__ void MultiplyRegisters(float (&sum)[32], const uint32_t (&left)[4],
                                                  uint64_t right, int add);
template <>
__device__ __forceinline__ void MultiplyRegisters<__nv_bfloat16>(float (&sum)[32],
                                                                 const uint32_t (&left)[4],
                                                                 uint64_t right, int add) {
  WEFT_MULTIPLY_REGISTERS_64("bf16");
}
template <>
__device__ __forceinline__ void MultiplyRegisters<__half>(float (&sum)[32],
                                                          const uint32_t (&left)[4], uint64_t right,
                                                          int add) {
  WEFT_MULTIPLY_REGISTERS_64("f16");
}

// sum[64 rows, N] (+)= left[64 rows, 16] * right[N rows, 16]^T, left from registers, right as
// in MultiplyShared; N = 96 or 144.
#define WEFT_MULTIPLY_BY_ROWS_96(type)                                                      \
  asm volatile(                                                                             \
      "{\n.reg .pred p;\nsetp.ne.b32 p, %53, 0;\n"                                          \
      "wgmma.mma_async.sync.aligned.m64n96k16.f32." type "." type " {" WEFT_NAMES_32        \
      ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47}, " \
      "{%48, %49, %50, %51}, %52, p, 1, 1, 0;\n}\n"                                         \
      : WEFT_SUMS_32(sum), WEFT_SUMS_16(sum, 32)                                            \
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right), "r"(add))
#define WEFT_MULTIPLY_BY_ROWS_144(type)                                               \
  asm volatile(                                                                       \
      "{\n.reg .pred p;\nsetp.ne.b32 p, %77, 0;\n"                                    \
      "wgmma.mma_async.sync.aligned.m64n144k16.f32." type "." type " {" WEFT_NAMES_64 \
      ", %64, %65, %66, %67, %68, %69, %70, %71}, "                                   \
      "{%72, %73, %74, %75}, %76, p, 1, 1, 0;\n}\n"                                   \
      : WEFT_SUMS_64(sum), WEFT_SUMS_4(sum, 64), WEFT_SUMS_4(sum, 68)                 \
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right), "r"(add))

template <class T>
__device__ __forceinline__ void MultiplyByRows(float (&sum)[48], const uint32_t (&left)[4],
                                               uint64_t right, int add) {
  if constexpr (std::is_same_v<T, __half>) {
    WEFT_MULTIPLY_BY_ROWS_96("f16");
  } else {
    WEFT_MULTIPLY_BY_ROWS_96("bf16");
  }
}
template <class T>
__device__ __forceinline__ void MultiplyByRows(float (&sum)[72], const uint32_t (&left)[4],
                                               uint64_t right, int add) {
  if constexpr (std::is_same_v<T, __half>) {
    WEFT_MULTIPLY_BY_ROWS_144("f16");
  } else {
    WEFT_MULTIPLY_BY_ROWS_144("bf16");
  }
}

#undef WEFT_MULTIPLY_BY_ROWS_144
#undef WEFT_MULTIPLY_BY_ROWS_96
#undef WEFT_MULTIPLY_SHARED
#undef WEFT_MULTIPLY_REGISTERS_128
#undef WEFT_MULTIPLY_REGISTERS_64
#undef WEFT_NAMES_64
#undef WEFT_NAMES_32
#undef WEFT_SUMS_64
#undef WEFT_SUMS_32
#undef WEFT_SUMS_16
#undef WEFT_SUMS_4

}  // namespace weft::worker::ops::cuda
