import { encodeListing, equalDigests, isFileSyncError } from '@filesync/protocol'
import type { Entry, HashBytes, RelativePath } from '@filesync/protocol'
import { ensure } from '@filesync/protocol/testing'
import type { ConformanceCase } from '@filesync/protocol/testing'
import type { Scanner } from '../scanner.ts'
import type { Snapshot } from '../snapshot.ts'
import { listedEntries } from './listed-entries.ts'

/** A scanner over an empty directory, and operations on that directory. Files it writes have been settled for years. */
export interface ScannedTree {
  readonly scanner: Scanner
  readonly hash: HashBytes
  /** Writes a file and makes its parent directories. */
  write (path: string, text: string): void
  makeDirectory (path: string): void
  link (path: string, target: string): void
  rename (from: string, to: string): void
  remove (path: string): void
}

async function scan ({ scanner }: ScannedTree): Promise<Snapshot> {
  return await scanner.scan({ signal: new AbortController().signal })
}

function ensureSame (actual: unknown, expected: unknown, what: string): void {
  ensure(JSON.stringify(actual) === JSON.stringify(expected), `${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`)
}

/** What every scanner must find, whatever stores the tree. */
export const scannerConformance: readonly ConformanceCase<ScannedTree>[] = [
  {
    name: 'takes a snapshot of an empty directory',
    async run (tree) {
      const snapshot = await scan(tree)
      ensure(equalDigests(snapshot.rootDigest, tree.hash(encodeListing([]))), 'the digest is not that of an empty listing')
      ensureSame([snapshot.files, snapshot.directories, snapshot.bytes, snapshot.complete], [0, 0, 0, true], 'the totals')
    },
  },
  {
    name: 'lists files and directories in the canonical order, with totals',
    async run (tree) {
      // In the order of UTF-16 code units, 𐀀 would come before U+FFEE.
      for (const path of ['b/deep/file', 'a', 'b/\uffee', 'b/𐀀', 'B']) tree.write(path, path)
      tree.makeDirectory('empty')
      const snapshot = await scan(tree)
      const sorted = ['B', 'a', 'b', 'b/deep', 'b/deep/file', 'b/\uffee', 'b/𐀀', 'empty']
      ensureSame([...listedEntries(snapshot, tree.hash).keys()], sorted, 'the paths')
      ensureSame([snapshot.files, snapshot.directories, snapshot.bytes, snapshot.problemCount], [5, 3, 24, 0], 'the totals')
    },
  },
  {
    name: 'changes the digests above a change, and no others',
    async run (tree) {
      for (const path of ['a/b/file', 'c/file']) tree.write(path, path)
      const before = await scan(tree)
      ensure(equalDigests((await scan(tree)).rootDigest, before.rootDigest), 'the digest changed although nothing else did')
      tree.write('a/b/file', 'longer than before')
      const after = await scan(tree)
      const [was, is] = [listedEntries(before, tree.hash), listedEntries(after, tree.hash)]
      const changed = [...is.keys()].filter(path => textOf(is.get(path)) !== textOf(was.get(path)))
      ensureSame(changed, ['a', 'a/b', 'a/b/file'], 'what changed')
    },
  },
  {
    name: 'keeps the file id of a renamed file, and gives a new file another one',
    async run (tree) {
      tree.write('first', 'x')
      const fileId = fileIdOf(listedEntries(await scan(tree), tree.hash).get('first'))
      tree.rename('first', 'second')
      tree.write('first', 'x')
      const found = listedEntries(await scan(tree), tree.hash)
      ensure(fileIdOf(found.get('second')) === fileId, 'the renamed file has another file id')
      ensure(fileIdOf(found.get('first')) !== fileId, 'the new file has the file id of the old one')
    },
  },
  {
    name: 'leaves out what rules ignore, and names the rule',
    async run (tree) {
      tree.write('.filesyncignore', '# noise\n*.log\n!keep.log\n')
      for (const path of ['debug.log', 'keep.log', 'sub/debug.log', '~$letter.docx', 'notes']) tree.write(path, '')
      tree.write('sub/.filesyncignore', 'notes\n')
      tree.write('sub/notes', '')
      const snapshot = await scan(tree)
      const listed = ['.filesyncignore', 'keep.log', 'notes', 'sub', 'sub/.filesyncignore']
      ensureSame([...listedEntries(snapshot, tree.hash).keys()], listed, 'the paths')
      ensureSame(snapshot.ignoredCount, 4, 'what is ignored')
      const rule = { source: 'sub/.filesyncignore', line: 1, pattern: 'notes' }
      ensureSame(tree.scanner.explain('sub/notes' as RelativePath), { state: 'ignored', rule }, 'the reason')
    },
  },
  {
    name: 'lists links as they are, wherever they lead',
    async run (tree) {
      tree.write('sub/file', 'x')
      tree.link('sub/inside', '../sub/file')
      tree.link('dangling', 'nowhere')
      tree.link('out', '../elsewhere')
      tree.link('absolute', '/etc')
      const snapshot = await scan(tree)
      const expected = ['absolute', 'dangling', 'out', 'sub', 'sub/file', 'sub/inside']
      ensureSame([...listedEntries(snapshot, tree.hash).keys()], expected, 'the paths')
      ensureSame([problems(snapshot), snapshot.leftOut.count], [[], 0], 'the problems and what is left out')
      ensure(snapshot.complete, 'the snapshot is incomplete although everything could be read')
    },
  },
  {
    name: 'reports names that no server accepts',
    async run (tree) {
      for (const path of ['line\nbreak', '.filesync', 'fine']) tree.write(path, '')
      const snapshot = await scan(tree)
      ensureSame([...listedEntries(snapshot, tree.hash).keys()], ['fine'], 'the paths')
      ensureSame(problems(snapshot), ['.filesync NAME_RESERVED', 'line\nbreak NAME_CONTROL'], 'the problems')
    },
  },
  {
    name: 'rejects a directory from which every file is gone',
    async run (tree) {
      tree.write('only', 'x')
      await scan(tree)
      tree.remove('only')
      const failure = await scan(tree).then(() => undefined, (error: unknown) => error)
      ensure(isFileSyncError(failure) && failure.code === 'SOURCE_SUSPECT', 'an emptied directory was not rejected')
    },
  },
]

function fileIdOf (entry: Entry | undefined): bigint | undefined {
  return entry?.kind === 'file' ? entry.fileId : undefined
}

function problems (snapshot: Snapshot): string[] {
  return snapshot.problems.map(({ path, code }) => `${path} ${code}`)
}

function textOf (entry: Entry | undefined): string {
  return JSON.stringify(entry, (_key, value: unknown) => typeof value === 'bigint' ? String(value) : value)
}
