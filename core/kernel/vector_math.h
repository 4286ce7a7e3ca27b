// SPDX-License-Identifier: Apache-2.0
// Exponential and GELU of 16 fp32 values at once. For functions of LOFTSCOPE_AVX512_BF16 alone.
#pragma once

#include "core/kernel/processor.h"

#if LOFTSCOPE_BF16_KERNELS

#include <immintrin.h>

namespace loftscope {

/// 2^x, relative error below 3e-7; 0 for x below -150.
LOFTSCOPE_AVX512_BF16 inline __m512 exp2Of(__m512 x) {
    const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 part = _mm512_sub_ps(x, whole); // -0.5 to 0.5
    // Taylor's series of 2^part.
    __m512 sum = _mm512_set1_ps(1.5403530e-4F);
    sum = _mm512_fmadd_ps(sum, part, _mm512_set1_ps(1.3333558e-3F));
    sum = _mm512_fmadd_ps(sum, part, _mm512_set1_ps(9.6181291e-3F));
    sum = _mm512_fmadd_ps(sum, part, _mm512_set1_ps(5.5504109e-2F));
    sum = _mm512_fmadd_ps(sum, part, _mm512_set1_ps(2.4022651e-1F));
    sum = _mm512_fmadd_ps(sum, part, _mm512_set1_ps(6.9314718e-1F));
    sum = _mm512_fmadd_ps(sum, part, _mm512_set1_ps(1.0F));
    return _mm512_scalef_ps(sum, whole);
}

/// x Phi(x) with Phi the normal distribution, absolute error below 1e-6 (Abramowitz and Stegun,
/// 7.1.26).
LOFTSCOPE_AVX512_BF16 inline __m512 geluOf(__m512 x) {
    const __m512 one = _mm512_set1_ps(1.0F);
    const __m512 z = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.70710678F));
    const __m512 t = _mm512_div_ps(one, _mm512_fmadd_ps(z, _mm512_set1_ps(0.3275911F), one));
    __m512 sum = _mm512_set1_ps(1.061405429F);
    sum = _mm512_fmadd_ps(sum, t, _mm512_set1_ps(-1.453152027F));
    sum = _mm512_fmadd_ps(sum, t, _mm512_set1_ps(1.421413741F));
    sum = _mm512_fmadd_ps(sum, t, _mm512_set1_ps(-0.284496736F));
    sum = _mm512_fmadd_ps(sum, t, _mm512_set1_ps(0.254829592F));
    const __m512 square = _mm512_mul_ps(_mm512_mul_ps(z, z), _mm512_set1_ps(-1.44269504F));
    // erfc(z) / 2: the share of the normal distribution beyond |x|.
    const __m512 beyond =
        _mm512_mul_ps(_mm512_mul_ps(_mm512_mul_ps(sum, t), exp2Of(square)), _mm512_set1_ps(0.5F));
    const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    const __m512 phi = _mm512_mask_mov_ps(_mm512_sub_ps(one, beyond), negative, beyond);
    return _mm512_mul_ps(x, phi);
}

} // namespace loftscope

#endif
