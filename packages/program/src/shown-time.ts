/** A time as ISO 8601 in UTC, as people are shown it: with its zone and its milliseconds, so that it means one moment wherever it is given back. */
export function shownTime (iso: string): string {
  return iso.replace('T', ' ')
}
