// The Internet checksum. Theory in checksum.h and RFC 1071.
//
// The AVX2 loop keeps two sums per 64-bit lane: of the words themselves, V, modulo 2^64, and of their upper halves, H,
// which cannot overflow before 2^32 words. The sum of the lower halves is then V − 2^32·H, exactly: three operations per
// vector and no carry to look after. RFC 1071 §2(C) allows any word width because 2^16 ≡ 1 mod 2^16 − 1. Scalar code
// adds 64-bit words with end-around carry.
#include "checksum.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vtepd {

namespace {

template <typename Word>
inline Word load(const uint8_t* at) {
  Word word;
  memcpy(&word, at, sizeof word);
  return word;
}

// The last 0..7 bytes. A lone last byte is the first byte of its 16-bit word, whatever the machine's byte order.
inline uint64_t addTail(const uint8_t* at, size_t length, uint64_t sum) {
  uint64_t tail = 0;
  if (length & 4) {
    tail += load<uint32_t>(at);
    at += 4;
  }
  if (length & 2) {
    tail += load<uint16_t>(at);
    at += 2;
  }
  if (length & 1) {
    uint16_t last = 0;
    memcpy(&last, at, 1);
    tail += last;
  }
  return checksumJoin(sum, tail);
}

inline uint64_t addWords(const uint8_t* at, size_t length, uint64_t sum) {
  while (length >= 32) {
    sum = checksumJoin(sum, load<uint64_t>(at));
    sum = checksumJoin(sum, load<uint64_t>(at + 8));
    sum = checksumJoin(sum, load<uint64_t>(at + 16));
    sum = checksumJoin(sum, load<uint64_t>(at + 24));
    at += 32;
    length -= 32;
  }
  while (length >= 8) {
    sum = checksumJoin(sum, load<uint64_t>(at));
    at += 8;
    length -= 8;
  }
  return addTail(at, length, sum);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) inline __m256i loadVector(const uint8_t* at) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}

__attribute__((target("avx2"))) uint64_t addAvx2(const uint8_t* at, size_t length, uint64_t sum) {
  __m256i all0 = _mm256_setzero_si256(), all1 = all0, upper0 = all0, upper1 = all0;
  while (length >= 128) {
    const __m256i a = loadVector(at), b = loadVector(at + 32), c = loadVector(at + 64), d = loadVector(at + 96);
    all0 = _mm256_add_epi64(all0, a);
    upper0 = _mm256_add_epi64(upper0, _mm256_srli_epi64(a, 32));
    all1 = _mm256_add_epi64(all1, b);
    upper1 = _mm256_add_epi64(upper1, _mm256_srli_epi64(b, 32));
    all0 = _mm256_add_epi64(all0, c);
    upper0 = _mm256_add_epi64(upper0, _mm256_srli_epi64(c, 32));
    all1 = _mm256_add_epi64(all1, d);
    upper1 = _mm256_add_epi64(upper1, _mm256_srli_epi64(d, 32));
    at += 128;
    length -= 128;
  }
  while (length >= 32) {
    const __m256i a = loadVector(at);
    all0 = _mm256_add_epi64(all0, a);
    upper0 = _mm256_add_epi64(upper0, _mm256_srli_epi64(a, 32));
    at += 32;
    length -= 32;
  }
  const __m256i all = _mm256_add_epi64(all0, all1), upper = _mm256_add_epi64(upper0, upper1);
  const __m256i lower = _mm256_sub_epi64(all, _mm256_slli_epi64(upper, 32));
  const __m256i both = _mm256_add_epi64(lower, upper);
  const __m128i half = _mm_add_epi64(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
  const uint64_t lanes =
      static_cast<uint64_t>(_mm_cvtsi128_si64(half)) + static_cast<uint64_t>(_mm_extract_epi64(half, 1));
  return addWords(at, length, checksumJoin(sum, lanes));
}

bool hasAvx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0;
}
#else
uint64_t addAvx2(const uint8_t* at, size_t length, uint64_t sum) { return addWords(at, length, sum); }
bool hasAvx2() { return false; }
#endif

// A property of the CPU, not of a thread: the one static that many workers may share.
const bool avx2 = hasAvx2();

}  // namespace

uint64_t checksumAdd(const void* data, size_t length, uint64_t sum) {
  const uint8_t* at = static_cast<const uint8_t*>(data);
  return avx2 && length >= 96 ? addAvx2(at, length, sum) : addWords(at, length, sum);
}

uint64_t checksumAddScalar(const void* data, size_t length, uint64_t sum) {
  return addWords(static_cast<const uint8_t*>(data), length, sum);
}

int checksumIsSimd() { return avx2; }

// A 16-bit field of given host value, as it would be summed from memory.
static uint64_t bigEndianWord(uint32_t value) {
  const uint8_t bytes[2] = {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
  return load<uint16_t>(bytes);
}

uint64_t checksumPseudoV4(const uint8_t* addresses, uint8_t protocol, uint32_t l4Length) {
  const uint64_t sum = uint64_t{load<uint32_t>(addresses)} + load<uint32_t>(addresses + 4);
  return sum + bigEndianWord(protocol) + bigEndianWord(l4Length & 0xffff) + bigEndianWord(l4Length >> 16);
}

uint64_t checksumPseudoV6(const uint8_t* addresses, uint8_t protocol, uint32_t l4Length) {
  uint64_t sum = bigEndianWord(protocol) + bigEndianWord(l4Length & 0xffff) + bigEndianWord(l4Length >> 16);
  for (int i = 0; i < 32; i += 4) sum += load<uint32_t>(addresses + i);
  return sum;
}

}  // namespace vtepd
