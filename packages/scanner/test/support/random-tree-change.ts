import type { Name, RelativePath } from '@filesync/protocol'
import { joinPath } from '@filesync/protocol'
import type { MemoryTree } from '../../src/testing/index.ts'

const OLD_NS = BigInt(Date.UTC(2020, 0, 1)) * 1_000_000n

/** Fills a directory with settled files, and every tenth entry a subdirectory with a file. */
export function fill (tree: MemoryTree, directory: string, entries: number): void {
  for (let i = 0; i < entries; i++) {
    const path = `${directory}/${i % 10 === 0 ? `d${i}/file` : `f${i}.txt`}`
    tree.write(path as RelativePath, String(i), OLD_NS)
  }
}

/** Makes a random change below a directory. Files that it writes have been settled for years. */
export function changeTree (tree: MemoryTree, top: string, pick: (below: number) => number): void {
  const directory = pickDirectory(tree, top as RelativePath, pick)
  const names = [...tree.node(directory)?.children.keys() ?? []]
  const known = names[pick(Math.max(names.length, 1))]
  const fresh = joinPath(directory, `${['n', 'é', 'd1', 'f1'][pick(4)] ?? ''}${pick(5000)}${['', '.txt', '.swp'][pick(3)] ?? ''}` as Name)
  const path = known === undefined ? fresh : joinPath(directory, known as Name)
  const node = tree.node(path)
  switch (pick(9)) {
    case 0: case 1: case 2:
      if (node?.kind === 'file') tree.write(path, 'x'.repeat(pick(100)), OLD_NS + BigInt(pick(1e9)))
      break
    case 3: case 4:
      if (tree.node(fresh) === undefined) tree.write(fresh, 'new', OLD_NS + BigInt(pick(1e9)))
      break
    case 5:
      if (node !== undefined && path !== top) tree.remove(path)
      break
    case 6:
      if (node !== undefined && tree.node(fresh) === undefined) tree.rename(path, fresh)
      break
    case 7:
      if (tree.node(fresh) === undefined) tree.write(joinPath(fresh, 'inside' as Name), 'x', OLD_NS)
      break
    default:
      // A file becomes a directory of the same name, or the other way round.
      if (node?.kind === 'file') {
        tree.remove(path)
        tree.makeDirectory(path)
      } else if (node?.kind === 'directory' && path !== top) {
        tree.remove(path)
        if (pick(2) === 0) tree.link(path, 'elsewhere')
        else tree.write(path, 'was a directory', OLD_NS)
      }
  }
}

function pickDirectory (tree: MemoryTree, top: RelativePath, pick: (below: number) => number): RelativePath {
  let at = top
  for (let depth = 0; depth < 3 && pick(3) === 0; depth++) {
    const inside = [...tree.node(at)?.children ?? []].filter(([, { kind }]) => kind === 'directory')
    const [name] = inside[pick(Math.max(inside.length, 1))] ?? []
    if (name === undefined) break
    at = joinPath(at, name as Name)
  }
  return at
}
