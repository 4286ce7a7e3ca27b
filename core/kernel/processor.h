// SPDX-License-Identifier: Apache-2.0
// Which of the hand-written routines this processor can run.
#pragma once

// Functions with this attribute may use AVX-512 with its bf16 products; they must be called only
// where hasBf16Products() is true. Everything else is compiled for any processor.
#if defined(__x86_64__) && defined(__GNUC__)
#define LOFTSCOPE_BF16_KERNELS 1
#define LOFTSCOPE_AVX512_BF16                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")))
#else
#define LOFTSCOPE_BF16_KERNELS 0
#define LOFTSCOPE_AVX512_BF16
#endif

namespace loftscope {

/// Whether this processor multiplies bf16 by AVX-512, so that the routines of core/kernel may be
/// used. Always the same answer in a run. Settings that turn it off, for comparisons: the
/// environment variable LOFTSCOPE_PLAIN=1.
bool hasBf16Products();

/// Whether bf16 has to be made up of other instructions here, so that it is slower than fp32: an
/// x86 processor without AVX512-BF16. Of other kinds nothing is known.
bool emulatesBf16();

} // namespace loftscope
