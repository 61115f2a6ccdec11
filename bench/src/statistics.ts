/** The middle value, or the mean of the two in the middle. Throws if there are no values. */
export function median (values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  if (low === undefined || high === undefined) throw new RangeError('There is no median of no values.')
  return (low + high) / 2
}

/**
 * The median of the ratios of the pairs, not the ratio of the medians: what slows the machine for a while slows both runs of a
 * pair. Throws if there are not equally many values.
 */
export function medianRatio (ours: readonly number[], theirs: readonly number[]): number {
  if (ours.length !== theirs.length) throw new RangeError(`${ours.length} runs do not pair with ${theirs.length}.`)
  return median(ours.map((value, i) => value / (theirs[i] ?? NaN)))
}
