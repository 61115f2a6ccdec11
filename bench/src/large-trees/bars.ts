/** Resident memory of each program, at any size. */
export const PEAK_BYTES = 350_000_000
/** Ten times as many files may take slightly more than ten times as much. */
export const GROWTH = 12
