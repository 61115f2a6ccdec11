/** The kinds of entries, as a listing numbers them. */
export const FILE = 0
export const DIRECTORY = 1
export const SYMLINK = 2
