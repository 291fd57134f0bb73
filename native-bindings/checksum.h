/*
 * The Internet checksum (RFC 1071): a one's-complement sum of 16-bit words.
 *
 * Everything here works on a *running sum*: 64 bits, words taken in the machine's own byte order. RFC 1071 §2(B)
 * shows that the byte order of the words does not matter as long as the result is stored with the same one, so no
 * byte is swapped on the way. A running sum is folded to 16 bits only at the end; folding any two running sums of
 * the same bytes gives the same 16 bits (except that 0 and 0xffff are two names of zero: a sum that had any
 * non-zero word folds to 1..0xffff, never to 0).
 *
 * Pure functions, no state but one function pointer chosen once (AVX2 where the CPU has it, 64-bit words elsewhere).
 */
#ifndef VTEPD_CHECKSUM_H
#define VTEPD_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Add `length` bytes at any address to a running sum. An odd last byte counts as if a zero followed it. */
uint64_t checksum_add(const void *data, size_t length, uint64_t sum);

/** The same without SIMD; what other machines use. */
uint64_t checksum_add_scalar(const void *data, size_t length, uint64_t sum);

/** 1 when `checksum_add` uses AVX2. */
int checksum_is_simd(void);

/** End-around-carry addition of two running sums. */
static inline uint64_t checksum_join(uint64_t a, uint64_t b) {
  const uint64_t sum = a + b;
  return sum + (sum < b);
}

/** A running sum as 16 bits, *not* inverted (RFC 1071 §1). Store `(uint16_t)~checksum_fold(sum)` with memcpy. */
static inline uint16_t checksum_fold(uint64_t sum) {
  sum = (sum >> 32) + (sum & 0xffffffffu);
  sum = (sum >> 32) + (sum & 0xffffffffu);
  sum = (sum >> 16) + (sum & 0xffffu);
  sum = (sum >> 16) + (sum & 0xffffu);
  return (uint16_t)sum + (uint16_t)(sum >> 16);
}

/** The running sum of bytes that start at an odd offset of the whole (RFC 1071 §2(A)): its two bytes change places. */
static inline uint64_t checksum_odd(uint64_t sum) {
  const uint16_t folded = checksum_fold(sum);
  return (uint16_t)(folded << 8 | folded >> 8);
}

/** Pseudo-header of RFC 9293 §3.1 / RFC 768 for IPv4: `addresses` is source and destination, 8 bytes as in the header. */
uint64_t checksum_pseudo_v4(const uint8_t *addresses, uint8_t protocol, uint32_t l4_length);

/** Pseudo-header of RFC 8200 §8.1 for IPv6: `addresses` is source and destination, 32 bytes as in the header. */
uint64_t checksum_pseudo_v6(const uint8_t *addresses, uint8_t protocol, uint32_t l4_length);

#ifdef __cplusplus
}
#endif
#endif
