/** The numbers of the kinds of entries in a listing. */
export const FILE = 0
export const DIRECTORY = 1
export const SYMLINK = 2
/** In a page table. */
export const PAGE = 3

/** The same by name, for code that reads the bytes of a listing directly. */
export const ENTRY_KINDS: { readonly file: typeof FILE, readonly directory: typeof DIRECTORY, readonly symlink: typeof SYMLINK } = {
  file: FILE, directory: DIRECTORY, symlink: SYMLINK,
}
