// The Internet checksum (RFC 1071): a one's-complement sum of 16-bit words.
//
// Everything here works on a *running sum*: 64 bits, words taken in the machine's own byte order. RFC 1071 §2(B)
// shows that the byte order of the words does not matter as long as the result is stored with the same one, so no
// byte is swapped on the way. A running sum is folded to 16 bits only at the end; folding any two running sums of
// the same bytes gives the same 16 bits (except that 0 and 0xffff are two names of zero: a sum that had any
// non-zero word folds to 1..0xffff, never to 0).
//
// Pure functions, no state but one function pointer chosen once (AVX2 where the CPU has it, 64-bit words elsewhere).
#pragma once

#include <cstddef>
#include <cstdint>

namespace vtepd {

/** Add `length` bytes at any address to a running sum. An odd last byte counts as if a zero followed it. */
uint64_t checksumAdd(const void* data, size_t length, uint64_t sum);

/** The same without SIMD; what other machines use. */
uint64_t checksumAddScalar(const void* data, size_t length, uint64_t sum);

/** 1 when `checksumAdd` uses AVX2. */
int checksumIsSimd();

/** End-around-carry addition of two running sums. */
static inline uint64_t checksumJoin(uint64_t a, uint64_t b) {
  const uint64_t sum = a + b;
  return sum + (sum < b);
}

/** A running sum as 16 bits, *not* inverted (RFC 1071 §1). Store `static_cast<uint16_t>(~checksumFold(sum))` with memcpy. */
static inline uint16_t checksumFold(uint64_t sum) {
  sum = (sum >> 32) + (sum & 0xffffffffu);
  sum = (sum >> 32) + (sum & 0xffffffffu);
  sum = (sum >> 16) + (sum & 0xffffu);
  sum = (sum >> 16) + (sum & 0xffffu);
  return static_cast<uint16_t>((sum & 0xffffu) + (sum >> 16));
}

/** The running sum of bytes that start at an odd offset of the whole (RFC 1071 §2(A)): its two bytes change places. */
static inline uint64_t checksumOdd(uint64_t sum) {
  const uint16_t folded = checksumFold(sum);
  return static_cast<uint16_t>(folded << 8 | folded >> 8);
}

/** Pseudo-header of RFC 9293 §3.1 / RFC 768 for IPv4: `addresses` is source and destination, 8 bytes as in the header. */
uint64_t checksumPseudoV4(const uint8_t* addresses, uint8_t protocol, uint32_t l4Length);

/** Pseudo-header of RFC 8200 §8.1 for IPv6: `addresses` is source and destination, 32 bytes as in the header. */
uint64_t checksumPseudoV6(const uint8_t* addresses, uint8_t protocol, uint32_t l4Length);

}  // namespace vtepd
