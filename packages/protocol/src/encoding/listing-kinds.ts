/** The kinds of entries, as a listing numbers them. */
export const FILE = 0
export const DIRECTORY = 1
export const SYMLINK = 2

/** As they are called, for whoever walks the bytes of a listing. */
export const ENTRY_KINDS: { readonly file: typeof FILE, readonly directory: typeof DIRECTORY, readonly symlink: typeof SYMLINK } = {
  file: FILE, directory: DIRECTORY, symlink: SYMLINK,
}
