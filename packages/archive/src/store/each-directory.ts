import type { Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, DirectoryKey } from './archive-index.ts'
import type { FoundPage } from './stored-pages.ts'

/** Directories whose paths are read at a time. */
const AT_ONCE = 256

/**
 * All directories of an area, parents before children. Between directories the caller may wait and write to the index: those that are not
 * reached yet are given as they are then. No transaction of the index stays open, because it would keep everything that is replaced
 * meanwhile.
 */
export function * eachDirectory (
  index: Pick<ArchiveIndex, 'directories'>, area: string,
): Generator<{ readonly directory: RelativePath, readonly files: number }, void, undefined> {
  for (let after: RelativePath | undefined, isFirst = true; isFirst || after !== undefined; isFirst = false) {
    const some: { readonly directory: RelativePath, readonly files: number }[] = []
    for (const one of index.directories(area, after)) if (some.push(one) === AT_ONCE) break
    yield * some
    after = some.length < AT_ONCE ? undefined : some.at(-1)?.directory
  }
}

/** Before all names. */
const FIRST = '' as Name

/** The pages of a directory, from the one for a name on, as they are when they are reached. */
export function * eachPage (
  index: Pick<ArchiveIndex, 'page'>, key: DirectoryKey, from: Name = FIRST,
): Generator<FoundPage, void, undefined> {
  for (let name: Name | undefined = from; name !== undefined;) {
    const page: FoundPage | undefined = index.page(key, name)
    if (page === undefined) return
    yield page
    name = page.before
  }
}
