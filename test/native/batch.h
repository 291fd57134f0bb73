// A batch through the coalescer, and everything that must hold of what comes out, whatever went in (Z4):
//  - every frame is in exactly one output, verbatim ones with untouched bytes;
//  - a run cut again is the very packets that went in (padding cut off, IPv4 ID free under DF, checksums good);
//  - nothing with a wrong or absent checksum was merged;
//  - no frame moved ahead of one of its own flow (but a pure ACK), or of one whose flow cannot be told;
//  - limits of size and number.
#pragma once

#include "../../native-bindings/coalesce.h"
#include "oracle.h"

using namespace vtepd;

struct Added {
  Bytes frame;
  uint64_t key = 1;
  const Gso* gso = nullptr;
};

struct Output {
  /** Indices of the frames in it, in order. */
  std::vector<size_t> frames;
  CoalesceOutput raw;
  /** Head and slices. */
  Bytes bytes;
};

/** Runs the batch, checks all of the above, returns the outputs. */
std::vector<Output> runBatch(const std::vector<Added>& batch, uint32_t what = COALESCE_TCP | COALESCE_UDP);
