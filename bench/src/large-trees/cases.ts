import { makeCase } from '../case.ts'
import type { Case } from '../case.ts'
import { changeCost } from './change-cost.ts'
import { hugeDirectory } from './huge-directory.ts'
import { longReads } from './long-reads.ts'
import { manyDirectories } from './many-directories.ts'
import { NORMAL, ONE_DIRECTORY, ONE_FILE_EACH } from './tree-shape.ts'

/** For millions of files. */
const LIMIT_MINUTES = 180

/** What costs of a tree should follow the change, not the tree. The number of files is `bench.files`. */
export const LARGE_TREE_CASES: readonly Case[] = [
  largeCase(
    'change-cost:normal', 'one file at a time changes in a tree that is watched',
    async bench => await changeCost(bench, NORMAL, bench.files),
  ),
  largeCase(
    'change-cost:directories', 'the same with a third of the files, each in a directory of its own',
    async bench => await changeCost(bench, ONE_FILE_EACH, Math.ceil(bench.files / 3)),
  ),
  largeCase(
    'change-cost:one-directory', 'the same with half of the files, all in one directory',
    async bench => await changeCost(bench, ONE_DIRECTORY, Math.ceil(bench.files / 2)),
  ),
  largeCase('huge-directory', 'one directory of many files: first push, then changes', hugeDirectory),
  largeCase('many-directories', 'a directory for each file: first push, then as many empty ones', manyDirectories),
  largeCase('long-reads', 'memory and CPU of what reads all that is stored: verify, restore, safe and more', longReads),
]

function largeCase (name: string, about: string, run: Case['run']): Case {
  return { ...makeCase(name, about, run), limitMinutes: LIMIT_MINUTES, hasPeer: false }
}
