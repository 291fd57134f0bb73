// Z6: any bytes at any alignment, split anywhere: SIMD, scalar and naive agree.
#include <cstring>

#include "../../native-bindings/checksum.h"
#include "oracle.h"

using namespace vtepd;

Bytes fuzzSeed(Random& random) {
  const uint32_t size = random.onceIn(50) ? random.below(70000) : random.below(300);
  return random.onceIn(3) ? Bytes(size, random.onceIn(2) ? 0xff : 0) : random.bytes(size);
}

static uint16_t value(uint64_t sum) {
  const uint16_t folded = checksumFold(sum);
  uint8_t bytes[2];
  std::memcpy(bytes, &folded, 2);
  const uint16_t big = static_cast<uint16_t>(bytes[0] << 8 | bytes[1]);
  return big == 0xffff ? 0 : big;  // two names of zero
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const size_t skip = data[0] % 64, splitByte = data[1];
  data += 2;
  size -= 2;
  uint8_t* block = static_cast<uint8_t*>(std::malloc(skip + size));
  std::memcpy(block + skip, data, size);
  const uint16_t naive = naiveSum(data, size), expected = naive == 0xffff ? 0 : naive;
  const uint8_t* at = block + skip;
  CHECK(value(checksumAdd(at, size, 0)) == expected);
  CHECK(value(checksumAddScalar(at, size, 0)) == expected);
  const size_t split = size * splitByte / 255;
  uint64_t second = checksumAdd(at + split, size - split, 0);
  if (split & 1) second = checksumOdd(second);
  CHECK(value(checksumJoin(checksumAdd(at, split, ~uint64_t{0}), second)) == expected);
  std::free(block);
  return 0;
}
