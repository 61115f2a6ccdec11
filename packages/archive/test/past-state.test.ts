import { spawnSync } from 'node:child_process'
import { rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROOT_PATH } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { seededRandom } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import { openArchive } from '../src/node/index.ts'
import type { Area } from '../src/index.ts'
import { describeFolder, describeSource, newArchive, newFolder } from './support/on-disk.ts'
import { asPath, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const SEED = 20_261_123
const ROUNDS = 12
/** The kernel's clock for new files may lag by this much. */
const TICK_MS = 15

async function restored (area: Area, atMs: number): Promise<string[]> {
  const to = newFolder()
  expect((await area.restore({ path: ROOT_PATH, at: { ms: atMs }, to })).failures).toEqual([])
  return describeFolder(to)
}

/** Makes a random change, if it is possible. */
function change (source: SourceTree, next: (below: number) => number, serial: number): void {
  const path = (): string => Array.from({ length: 1 + next(3) }, () => 'abc'[next(3)] ?? 'a').join('/')
  const [one, two] = [path(), path()]
  try {
    switch (next(7)) {
      case 0: case 1: source.remove(one).write(one, `content ${String(serial)}`); break
      case 2: source.remove(one); break
      case 3: source.remove(one).link(one, two); break
      case 4: source.remove(one).mkdir(one); break
      default:
        source.at(one)
        if (!two.startsWith(`${one}/`)) source.remove(two).move(one, two)
    }
  } catch {
    // A part of the path is a file, or there is nothing.
  }
}

test.each([1, 2, 3, 4, 5, 6])('any state that was pushed can be restored, whatever happened later (seed %i)', async run => {
  const area = await (await newArchive({ clock: systemClock })).area('laptop')
  const next = seededRandom(SEED + run).below
  const source = new SourceTree().write('stays', 'always')
  const states: { readonly atMs: number, readonly lines: string[] }[] = []
  for (let round = 0; round < ROUNDS; round++) {
    for (let changes = 1 + next(4); changes > 0; changes--) change(source, next, round * 10 + changes)
    expect(await push(area, source)).toMatchObject({ problems: [] })
    await sleep(TICK_MS)
    states.push({ atMs: Date.now(), lines: describeSource(source) })
    await sleep(TICK_MS)
  }
  for (const { atMs, lines } of states) expect(await restored(area, atMs)).toEqual(lines)
})

test('what became a directory or a link or was exchanged is restored without what came later', async () => {
  const area = await (await newArchive({ clock: systemClock })).area('laptop')
  const source = new SourceTree().write('file', 'A').write('dir/a', 'B').write('x/1', '1').write('y/2', '2').write('k', 'k')
  await push(area, source)
  await sleep(TICK_MS)
  const [atMs, lines] = [Date.now(), describeSource(source)]
  await sleep(TICK_MS)
  source.remove('file').write('file/sub/x', 'x').remove('dir').link('dir', 'k').mkdir('later')
  source.move('x', 'z').move('y', 'x').move('z', 'y')
  await push(area, source)
  source.remove('x').remove('file')
  await push(area, source)
  expect(await restored(area, atMs)).toEqual(lines)

  const one = newFolder()
  await area.restore({ path: asPath('dir'), at: { ms: Date.now() }, to: one })
  expect(describeFolder(one)).toEqual(['dir -> k'])
})

test('a file that was put there by hand is not restored from before, although another one is known to be there by hand', async () => {
  const root = newFolder()
  const area = await (await newArchive({ root, clock: systemClock })).area('laptop')
  const source = new SourceTree().write('k', 'k').write('gone', 'x')
  await push(area, source)
  writeFileSync(join(root, 'laptop/first'), 'by hand')
  // Node sets times to a quarter of a microsecond, so a restored file may not have exactly the present one.
  utimesSync(join(root, 'laptop/first'), 1_700_000_000, 1_700_000_000)
  expect((await area.checkMirror({ directories: 10 })).added).toEqual(['first'])
  await push(area, source.remove('gone').write('k', 'another'), { complete: false })
  await sleep(TICK_MS)
  const [atMs, lines] = [Date.now(), describeFolder(join(root, 'laptop'))]
  await sleep(TICK_MS)
  writeFileSync(join(root, 'laptop/second'), 'by hand')
  // An incomplete scan removes nothing, so the archive still knows the first file as one that nobody sent.
  expect((await push(area, source.mkdir('second').write('second/f', 'f'), { complete: false })).problems).toEqual([])
  expect(await restored(area, atMs)).toEqual(lines)
})

test('everything is restored from an archive that was copied or lost its index', async () => {
  const [root, copy] = [newFolder(), newFolder()]
  const source = new SourceTree().write('changed', 'first').write('gone/x', 'x').write('stays', 'stays').link('l', 'stays').mkdir('empty')
  const first = await newArchive({ root, clock: systemClock })
  await push(await first.area('laptop'), source)
  await sleep(TICK_MS)
  const [atMs, lines] = [Date.now(), describeSource(source)]
  await sleep(TICK_MS)
  source.write('changed', 'second').remove('gone')
  await push(await first.area('laptop'), source)
  await first.close()
  // `cp` keeps the times of content, but everything is as young as the copy. A second is the least that tells.
  await sleep(1500)
  spawnSync('cp', ['-a', `${root}/.`, copy])
  for (const lost of [false, true]) {
    if (lost) rmSync(join(copy, '.filesync/index'), { recursive: true })
    const archive = await openArchive({
      root: copy,
      clock: systemClock,
      keepMs: 30 * 86_400_000,
      deletions: 'mirror',
      reserveBytes: 0,
      signal: new AbortController().signal,
    })
    try {
      const area = await archive.area('laptop')
      if (lost) await area.rebuild()
      expect(await restored(area, atMs)).toEqual(lines)
    } finally {
      await archive.close()
    }
  }
})
