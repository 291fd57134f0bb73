// The checksum against the naive sum: every small length at every alignment, then random ones; Z6.
#include <cstring>

#include "../../native-bindings/checksum.h"
#include "oracle.h"

using namespace vtepd;

static uint16_t bigEndian(uint16_t folded) {
  uint8_t bytes[2];
  std::memcpy(bytes, &folded, 2);
  return static_cast<uint16_t>(bytes[0] << 8 | bytes[1]);
}

// 0 and 0xffff are the same number.
static bool same(uint16_t a, uint16_t b) { return a == b || ((a + 1) & 0xffff) + ((b + 1) & 0xffff) == 1; }

int main() {
  const uint64_t seed = seedOfRun();
  std::printf("checksum-test: SEED=%llu, simd %d\n", static_cast<unsigned long long>(seed), checksumIsSimd());
  Random random{seed};

  for (int fill = 0; fill < 3; fill++) {
    for (size_t length = 0; length <= 400; length++) {
      for (size_t at = 0; at < 33; at++) {
        // Exactly sized, so that the sanitizer sees one byte too many.
        uint8_t* block = static_cast<uint8_t*>(std::malloc(at + length + (at + length == 0)));
        for (size_t i = 0; i < at + length; i++)
          block[i] = fill == 0 ? 0xff : fill == 1 ? 0 : static_cast<uint8_t>(random.next());
        const uint16_t expected = naiveSum(block + at, length);
        CHECK(same(bigEndian(checksumFold(checksumAdd(block + at, length, 0))), expected));
        CHECK(same(bigEndian(checksumFold(checksumAddScalar(block + at, length, 0))), expected));
        std::free(block);
      }
    }
  }
  for (int i = 0; i < 3000; i++) {
    const size_t length = random.below(70000);
    const Bytes data = i % 7 == 0 ? Bytes(length, 0xff) : random.bytes(length);
    const uint64_t start = random.onceIn(3) ? ~uint64_t{0} - random.below(3) : random.next();
    uint16_t words[4];
    std::memcpy(words, &start, 8);
    uint32_t naiveStart = 0;
    for (uint16_t w : words) naiveStart += bigEndian(w);
    naiveStart = (naiveStart & 0xffff) + (naiveStart >> 16);
    const uint16_t expected = naiveSum(data.data(), length, naiveStart);
    CHECK(same(bigEndian(checksumFold(checksumAdd(data.data(), length, start))), expected));
    CHECK(same(bigEndian(checksumFold(checksumAddScalar(data.data(), length, start))), expected));

    // In two parts, split anywhere.
    const size_t split = random.below(static_cast<uint32_t>(length + 1));
    uint64_t second = checksumAdd(data.data() + split, length - split, 0);
    if (split & 1) second = checksumOdd(second);
    CHECK(same(bigEndian(checksumFold(checksumJoin(checksumAdd(data.data(), split, start), second))), expected));
  }
  for (uint32_t i = 0; i <= 0xffff; i++) CHECK(checksumFold(i) == i);
  CHECK(checksumFold(~uint64_t{0}) == 0xffff);
  CHECK(checksumFold(0x0001000000000000u) == 1);

  for (int i = 0; i < 2000; i++) {
    const uint8_t protocol = static_cast<uint8_t>(random.next());
    const uint32_t length = random.below(70000);
    for (const size_t addresses : {size_t{8}, size_t{32}}) {
      Bytes pseudo = random.bytes(addresses);
      const uint64_t sum = addresses == 8 ? checksumPseudoV4(pseudo.data(), protocol, length)
                                          : checksumPseudoV6(pseudo.data(), protocol, length);
      for (const uint32_t field : {length, static_cast<uint32_t>(protocol)}) {
        for (int shift = 24; shift >= 0; shift -= 8) pseudo.push_back(static_cast<uint8_t>(field >> shift));
      }
      CHECK(same(bigEndian(checksumFold(sum)), naiveSum(pseudo.data(), pseudo.size())));
    }
  }
  std::puts("checksum-test: ok");
}
