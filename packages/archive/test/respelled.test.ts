import { foldKey, ROOT_PATH } from '@filesync/protocol'
import { describe, expect, test } from 'vitest'
import type { Sync } from '../src/index.ts'
import { describeWanted, World } from './support/in-memory.ts'
import { push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const FOLDS = { foldsNames: true, windowsNames: false }
const [COMPOSED, DECOMPOSED] = ['caf\u00e9', 'cafe\u0301']

/** Files and a directory that the client spells otherwise afterwards: some with the same content, the others with new ones. */
function spellings (): readonly [SourceTree, SourceTree] {
  const trees = [new SourceTree(), new SourceTree()] as const
  for (const tree of trees) {
    tree.write('early/Report', 'report').write('early/Same', 'same').write('late/Report', 'late report').write('late/Docs/page', 'page')
    tree.write(`early/${COMPOSED}`, 'menu').write(`late/${COMPOSED}`, 'late menu')
  }
  const [before, after] = trees
  after
    .move('early/Same', 'early/SAME').move('early/Report', 'early/REPORT').move('late/Report', 'late/REPORT')
    .move('late/Docs', 'late/DOCS')
  after.move(`early/${COMPOSED}`, `early/${DECOMPOSED}`).move(`late/${COMPOSED}`, `late/${DECOMPOSED}`)
  after
    .write('early/REPORT', 'new report').write('late/REPORT', 'new late report').write('late/DOCS/page', 'new page')
    .write(`early/${DECOMPOSED}`, 'new menu')
  return [before, after]
}

/** Lines that begin with a path, for a store in which a name may keep the spelling that it had. */
function folded (lines: readonly string[]): string[] {
  return lines.map(line => foldKey(line.slice(0, line.indexOf(' '))) + line.slice(line.indexOf(' '))).sort()
}

/** What became of the old spelling, and the names that cannot be moved away. */
const OLD_NAMES: readonly [string, readonly string[]][] = [
  ['moved away', []],
  ['not moved away, because it is in use,', ['Report', 'Same', 'Docs', COMPOSED]],
]
const LONG = { timeout: 60_000 }
const KEPT = ['early/Report', 'early/Same', `early/${COMPOSED}`, 'late/Docs/page', 'late/Report', `late/${COMPOSED}`]

describe.each([
  ['all', () => false],
  // One directory is in the index then, while the journal is still needed for the other one.
  ['one directory of two', (path: string) => path.startsWith('late/')],
])('if the store folds names, and %s of the files arrive', (_, withhold) => {
  test.each(OLD_NAMES)('files placed under the new spelling before a crash stay, if the old one was %s before', LONG, async (_, held) => {
    const [before, after] = spellings()
    let points = 0
    for (let at = 1; ; at++) {
      const world = new World(FOLDS)
      await push(await world.area(), before)
      world.clock.jump(1000)
      for (const name of held) world.store.held.add(name)
      world.failure = { at: world.calls + 1 + at, error: new Error('The process was killed.') }
      let stored = 0
      const onSync = (sync: Sync): void => { sync.onStored = ({ files, renamed }) => { stored = files + renamed } }
      const killed = await push(await world.area(), after, { packBytes: 1, withhold, onSync }).then(() => false, () => true)
      world.failure = undefined
      world.store.held.clear()
      const where = `killed at call ${String(at)}`
      const area = await world.area()
      expect((await area.verify()).problems, where).toEqual([])
      const second = await push(area, after)
      expect(second.problems, where).toEqual([])
      expect(second.files, where).toBeLessThanOrEqual(KEPT.length - stored)
      expect(folded(world.mirror), where).toEqual(folded(describeWanted(after)))
      if (held.length === 0) expect(world.mirror, where).toEqual(describeWanted(after))
      const kept = (await area.versions(ROOT_PATH)).filter(({ kind }) => kind === 'file').map(({ path }) => path)
      if (held.length === 0) expect(kept.sort(), where).toEqual(KEPT)
      else expect(kept.map(foldKey), where).toEqual(expect.arrayContaining(KEPT.map(foldKey)))
      if (!killed) break
      points++
    }
    expect(points).toBeGreaterThan(20)
  })
})
