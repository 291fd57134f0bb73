/* The checksum against the naive sum: every small length at every alignment, then random ones; Z6. */
#include <cstring>

#include "../../native-bindings/checksum.h"
#include "oracle.h"

static uint16_t big_endian(uint16_t folded) {
  uint8_t bytes[2];
  std::memcpy(bytes, &folded, 2);
  return static_cast<uint16_t>(bytes[0] << 8 | bytes[1]);
}

/* 0 and 0xffff are the same number. */
static bool same(uint16_t a, uint16_t b) { return a == b || (uint16_t)(a + 1) + (uint16_t)(b + 1) == 1; }

int main() {
  const uint64_t seed = seed_of_run();
  std::printf("checksum-test: SEED=%llu, simd %d\n", static_cast<unsigned long long>(seed), checksum_is_simd());
  Random random{seed};

  for (int fill = 0; fill < 3; fill++) {
    for (size_t length = 0; length <= 400; length++) {
      for (size_t at = 0; at < 33; at++) {
        /* Exactly sized, so that the sanitizer sees one byte too many. */
        uint8_t *block = static_cast<uint8_t *>(std::malloc(at + length + (at + length == 0)));
        for (size_t i = 0; i < at + length; i++) block[i] = fill == 0 ? 0xff : fill == 1 ? 0 : static_cast<uint8_t>(random.next());
        const uint16_t expected = naive_sum(block + at, length);
        CHECK(same(big_endian(checksum_fold(checksum_add(block + at, length, 0))), expected));
        CHECK(same(big_endian(checksum_fold(checksum_add_scalar(block + at, length, 0))), expected));
        std::free(block);
      }
    }
  }
  for (int i = 0; i < 3000; i++) {
    const size_t length = random.below(70000);
    const Bytes data = i % 7 == 0 ? Bytes(length, 0xff) : random.bytes(length);
    const uint64_t start = random.once_in(3) ? ~uint64_t{0} - random.below(3) : random.next();
    uint16_t words[4];
    std::memcpy(words, &start, 8);
    uint32_t naive_start = 0;
    for (uint16_t w : words) naive_start += big_endian(w);
    naive_start = (naive_start & 0xffff) + (naive_start >> 16);
    const uint16_t expected = naive_sum(data.data(), length, naive_start);
    CHECK(same(big_endian(checksum_fold(checksum_add(data.data(), length, start))), expected));
    CHECK(same(big_endian(checksum_fold(checksum_add_scalar(data.data(), length, start))), expected));

    /* In two parts, split anywhere. */
    const size_t split = random.below(static_cast<uint32_t>(length + 1));
    uint64_t second = checksum_add(data.data() + split, length - split, 0);
    if (split & 1) second = checksum_odd(second);
    CHECK(same(big_endian(checksum_fold(checksum_join(checksum_add(data.data(), split, start), second))), expected));
  }
  for (uint32_t i = 0; i <= 0xffff; i++) CHECK(checksum_fold(i) == i);
  CHECK(checksum_fold(~uint64_t{0}) == 0xffff);
  CHECK(checksum_fold(0x0001000000000000u) == 1);

  for (int i = 0; i < 2000; i++) {
    const uint8_t protocol = static_cast<uint8_t>(random.next());
    const uint32_t length = random.below(70000);
    for (const size_t addresses : {size_t{8}, size_t{32}}) {
      Bytes pseudo = random.bytes(addresses);
      const uint64_t sum = addresses == 8 ? checksum_pseudo_v4(pseudo.data(), protocol, length)
                                          : checksum_pseudo_v6(pseudo.data(), protocol, length);
      for (const uint32_t field : {length, static_cast<uint32_t>(protocol)}) {
        for (int shift = 24; shift >= 0; shift -= 8) pseudo.push_back(static_cast<uint8_t>(field >> shift));
      }
      CHECK(same(big_endian(checksum_fold(sum)), naive_sum(pseudo.data(), pseudo.size())));
    }
  }
  std::puts("checksum-test: ok");
}
