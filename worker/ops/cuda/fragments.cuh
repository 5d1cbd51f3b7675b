// Matrices as a warp's tensor core instructions hold them.
//
// Fragments (PTX ISA, mma.m16n8k16), with g = lane / 4 and t = lane % 4; a register
// holds two neighbouring elements, the lower index in the lower half:
//   A [16 x 16]  a0: row g, columns 2t, 2t+1;  a1: row g+8;  a2, a3: the same, columns +8
//   B [16 x 8]   b0: rows 2t, 2t+1, column g;  b1: rows +8
//   C [16 x 8]   c0, c1: row g, columns 2t, 2t+1;  c2, c3: row g+8
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace weft::worker::ops::cuda {

// Loads four 8 x 8 matrices of 16-bit elements: lane i gives the address of row i % 8
// of matrix i / 8 and gets elements (g; 2t, 2t+1) of each.
__device__ __forceinline__ void LoadMatrices(uint32_t (&r)[4], uint32_t shared_row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_row)
               : "memory");
}
// The same of the transposes: elements (2t, 2t+1; g).
__device__ __forceinline__ void LoadMatricesTransposed(uint32_t (&r)[4], uint32_t shared_row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_row)
               : "memory");
}

// Transposes an 8 x 8 matrix that the warp holds: a C fragment's half, packed,
// becomes a B fragment's.
__device__ __forceinline__ uint32_t TransposeMatrix(uint32_t r) {
  uint32_t result;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(result) : "r"(r));
  return result;
}

// c += a b, summed in fp32.
template <class T>
__device__ __forceinline__ void Mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
template <>
__device__ __forceinline__ void Mma<__half>(float (&c)[4], const uint32_t (&a)[4],
                                            const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <>
__device__ __forceinline__ void Mma<__nv_bfloat16>(float (&c)[4], const uint32_t (&a)[4],
                                                   const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace weft::worker::ops::cuda
