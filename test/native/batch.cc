// Runs a batch and checks what must hold of any batch. See batch.h.
#include "batch.h"

#include <cstring>
#include <memory>

#include "../../native-bindings/segment.h"

using namespace vtepd;

// One for the whole test, so that every batch also tests the reset.
static Coalescer* coalescer() {
  static const std::unique_ptr<Coalescer> one = [] {
    auto made = std::make_unique<Coalescer>();
    std::memset(static_cast<void*>(made.get()), 0xa5, sizeof *made);
    coalesceInit(made.get());
    return made;
  }();
  return one.get();
}

// What a run may change: checksums, and the ID of a packet that cannot be fragmented.
static Bytes comparable(Bytes frame, const Seen& seen) {
  frame.resize(seen.end);
  const size_t checksum = seen.l4At + (seen.udp ? 6 : 16);
  frame[checksum] = frame[checksum + 1] = 0;
  if (!seen.v6) {
    frame[seen.l3At + 10] = frame[seen.l3At + 11] = 0;
    if (seen.fragment & 0x4000) frame[seen.l3At + 4] = frame[seen.l3At + 5] = 0;
  }
  return frame;
}

static bool overtakable(const std::optional<Seen>& seen) {
  return seen && !seen->udp && seen->flags == 0x10 && seen->end == seen->payloadAt;
}

// The head may leave by an AC that puts its tag in front.
static void checkBehindTag(const CoalesceOutput& raw) {
  const Bytes tagged = behindTag(Bytes(raw.head, raw.head + raw.headLength));
  Gso gso;
  Layers layers;
  CHECK(gsoCheck(raw.gso.type, raw.gso.ecn, raw.gso.size, tagged.data(), raw.headLength + 4, raw.length + 4, &gso,
                 &layers) == GSO_OK);
  CHECK(gso.units == raw.gso.units && gso.header == raw.gso.header + 4);
}

static void checkRun(const std::vector<Added>& batch, const Output& output) {
  const CoalesceOutput& raw = output.raw;
  const Gso& gso = raw.gso;
  CHECK(gso.units == output.frames.size() && gso.units <= (gso.type == GSO_UDP_L4 ? 64 : 128));
  CHECK(gso.needsCsum == 1 && gso.ecn == 0 && raw.csum == COALESCE_CSUM_UNFINISHED);
  const std::optional<Seen> whole = inspect(output.bytes);
  CHECK(whole && whole->ipSumGood && whole->l4SumUnfinished && whole->end == output.bytes.size());
  CHECK(whole->end - whole->l3At <= 65535);
  CHECK(gso.header == whole->payloadAt && gso.csumStart == whole->l4At && gso.csumOffset == (whole->udp ? 6 : 16));
  CHECK(raw.headLength >= gso.header);
  checkBehindTag(raw);

  std::vector<struct iovec> slices;
  for (uint32_t i = 0; i < raw.sliceCount; i++) slices.push_back(coalescer()->slices[raw.firstSlice + i]);
  SegmentPlan plan;
  CHECK(segmentPlan(&plan, raw.head, raw.headLength, raw.length, slices.data(), raw.sliceCount, gso.type, gso.ecn,
                    gso.size, nullptr, 0) == GSO_OK);
  CHECK(plan.gso.units == gso.units);
  Bytes buffer(raw.length + size_t{gso.units} * gso.header);
  const SegmentCut made = segmentWrite(&plan, buffer.data(), static_cast<uint32_t>(buffer.size()), 128);
  CHECK(made.segments == gso.units);
  for (size_t i = 0; i < output.frames.size(); i++) {
    const size_t end = i + 1 < output.frames.size() ? (i + 1) * made.stride : made.bytes;
    const Bytes segment(buffer.begin() + static_cast<long>(i * made.stride), buffer.begin() + static_cast<long>(end));
    const Bytes& original = batch[output.frames[i]].frame;
    const std::optional<Seen> was = inspect(original), is = inspect(segment);
    CHECK(was && is && batch[output.frames[i]].key == batch[output.frames[0]].key);
    CHECK(was->ipSumGood && (was->l4SumGood || was->l4SumUnfinished));
    CHECK(is->ipSumGood && is->l4SumGood);
    CHECK(comparable(original, *was) == comparable(segment, *is));
  }
}

static void checkOrder(const std::vector<Added>& batch, const std::vector<Output>& outputs) {
  std::vector<std::optional<Seen>> seen;
  for (const Added& added : batch) seen.push_back(inspect(added.frame));
  std::vector<size_t> runOf(batch.size());
  for (size_t o = 0; o < outputs.size(); o++) {
    for (const size_t i : outputs[o].frames) runOf[i] = o;
  }
  for (size_t o = 0; o < outputs.size(); o++) {
    const std::vector<size_t>& frames = outputs[o].frames;
    CHECK(o == 0 || outputs[o - 1].frames[0] < frames[0]);
    for (size_t i = frames[0] + 1; frames.size() > 1 && i < frames.back(); i++) {
      if (runOf[i] == o) continue;
      // The last frame of the run overtook this one.
      CHECK(seen[i]);
      CHECK(seen[i]->flow != seen[frames[0]]->flow || overtakable(seen[i]));
    }
  }
}

std::vector<Output> runBatch(const std::vector<Added>& batch, uint32_t what) {
  Coalescer* c = coalescer();
  coalesceBegin(c, what);
  // Exactly sized blocks: one byte too many is seen.
  std::vector<std::unique_ptr<uint8_t[]>> blocks;
  for (const Added& added : batch) {
    blocks.emplace_back(new uint8_t[added.frame.size()]);
    if (!added.frame.empty()) std::memcpy(blocks.back().get(), added.frame.data(), added.frame.size());
    CHECK(coalesceAdd(c, blocks.back().get(), static_cast<uint32_t>(added.frame.size()), added.key, added.gso) == 1);
  }
  const uint32_t count = coalesceEnd(c);
  CHECK(count == c->outputCount && count <= batch.size());

  std::vector<Output> outputs;
  std::vector<int> times(batch.size(), 0);
  uint32_t slices = 0;
  for (uint32_t o = 0; o < count; o++) {
    Output output;
    output.raw = c->outputs[o];
    const CoalesceOutput& raw = output.raw;
    CHECK(raw.frame < batch.size() && raw.head == blocks[raw.frame].get());
    output.frames.push_back(raw.frame);
    output.bytes.assign(raw.head, raw.head + raw.headLength);
    for (uint32_t s = 0; s < raw.sliceCount; s++) {
      const struct iovec& slice = c->slices[raw.firstSlice + s];
      const uint8_t* base = static_cast<const uint8_t*>(slice.iov_base);
      output.bytes.insert(output.bytes.end(), base, base + slice.iov_len);
      for (size_t i = 0; i < batch.size(); i++) {
        if (base > blocks[i].get() && base + slice.iov_len <= blocks[i].get() + batch[i].frame.size())
          output.frames.push_back(i);
      }
      CHECK(output.frames.size() == s + 2);
    }
    slices += raw.sliceCount;
    CHECK(output.bytes.size() == raw.length);
    for (const size_t i : output.frames) times[i]++;
    if (raw.sliceCount > 0) {
      checkRun(batch, output);
    } else {
      CHECK(output.bytes == batch[raw.frame].frame);
      if (batch[raw.frame].gso == nullptr) {
        const std::optional<Seen> seen = inspect(batch[raw.frame].frame);
        CHECK(raw.gso.type == GSO_NONE && raw.gso.units == 1);
        CHECK(raw.gso.needsCsum == (raw.csum == COALESCE_CSUM_UNFINISHED));
        if (raw.gso.needsCsum) CHECK(seen && seen->l4SumUnfinished && raw.gso.csumStart == seen->l4At);
        if (raw.csum == COALESCE_CSUM_VALID) CHECK(seen->l4SumGood);
        if (raw.csum == COALESCE_CSUM_BAD) CHECK(!seen->l4SumGood && !seen->l4SumUnfinished);
      }
    }
    outputs.push_back(output);
  }
  CHECK(slices == c->sliceCount);
  for (const int n : times) CHECK(n == 1);
  checkOrder(batch, outputs);
  return outputs;
}
