/** Size of a sample. At most three samples of a file are examined. */
const SAMPLE_BYTES = 2048
/** Smaller samples are not conclusive. */
const LEAST_BYTES = 128
/** Above this ratio a compressor gains nothing noticeable: encrypted content, and most compressed content. */
const NOISE_RATIO = 0.98
/** Four standard deviations of the estimate for a sample of one byte; the error shrinks in proportion to the sample's size. */
const RATIO_DOUBT = 16
/** Below this ratio content is text, tables, programs: what people and programs read. */
const PLAIN_RATIO = 0.9
const BYTE_VALUES = 256
const BITS_PER_BYTE = 8
const MATCH_BYTES = 4
const MATCH_SLOTS = 4096

/** A part of a file. */
export interface SampleRange {
  readonly offset: number
  readonly lengthBytes: number
}

/** The samples to examine of a file of this size: its beginning, middle and end, or all of a small file. */
export function sampleRanges (sizeBytes: number): SampleRange[] {
  if (sizeBytes <= 3 * SAMPLE_BYTES) return [{ offset: 0, lengthBytes: sizeBytes }]
  return [0, Math.floor((sizeBytes - SAMPLE_BYTES) / 2), sizeBytes - SAMPLE_BYTES].map(offset => ({ offset, lengthBytes: SAMPLE_BYTES }))
}

/** Whether any sample of new content is noise: ransomware in a hurry encrypts only the beginnings of files. */
export function isNoisy (samples: readonly Uint8Array[]): boolean {
  return samples.some(sample => sample.length >= LEAST_BYTES && estimateRatio(sample) > NOISE_RATIO - RATIO_DOUBT / sample.length)
}

/**
 * Whether most samples of old content are plain, that is, compressible. A picture with a long header is not plain. A file that is too
 * short to tell counts as plain: compression does not produce files of a hundred bytes.
 */
export function isPlain (samples: readonly Uint8Array[]): boolean {
  const long = samples.filter(sample => sample.length >= LEAST_BYTES)
  if (long.length === 0) return samples.some(sample => sample.length > 0)
  const plain = long.filter(sample => estimateRatio(sample) < PLAIN_RATIO - RATIO_DOUBT / sample.length)
  return plain.length * 2 > long.length
}

/**
 * Estimates the compression ratio of a sample, from 0 to about 1. Sequences that occurred before cost nothing; every other byte costs
 * the bits of the collision entropy: the logarithm of how often two bytes are the same (A. Rényi, On Measures of Entropy and
 * Information, 1961; W. F. Friedman, The Index of Coincidence, 1922). Unlike Shannon's entropy, it can be estimated from a few hundred
 * bytes without bias.
 */
export function estimateRatio (sample: Uint8Array): number {
  if (sample.length < 2) return 1
  const counts = new Uint32Array(BYTE_VALUES)
  for (const byte of sample) counts[byte] = (counts[byte] ?? 0) + 1
  let same = 0
  for (const count of counts) same += count * (count - 1)
  // If no two bytes are the same, there are at least as many values as bytes.
  const chance = Math.max(same, 1) / (sample.length * (sample.length - 1))
  return Math.min(1.1, -Math.log2(chance) / BITS_PER_BYTE) * (1 - repeatedShare(sample))
}

/** The share of a sample that consists of sequences which occurred earlier in it. */
function repeatedShare (sample: Uint8Array): number {
  const view = new DataView(sample.buffer, sample.byteOffset, sample.length)
  const last = new Int32Array(MATCH_SLOTS).fill(-1)
  let repeated = 0
  for (let at = 0; at + MATCH_BYTES <= sample.length;) {
    const word = view.getUint32(at)
    // Knuth's multiplicative hash, its upper twelve bits.
    const slot = Math.imul(word, 0x9e3779b1) >>> 20
    const before = last[slot] ?? -1
    last[slot] = at
    const isSame = before >= 0 && view.getUint32(before) === word
    if (isSame) repeated += MATCH_BYTES
    at += isSame ? MATCH_BYTES : 1
  }
  return repeated / sample.length
}
