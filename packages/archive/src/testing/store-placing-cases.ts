import { encodeListing, ROOT_PATH } from '@filesync/protocol'
import type { Entry } from '@filesync/protocol'
import { ensure } from '@filesync/protocol/testing'
import type { ConformanceCase } from '@filesync/protocol/testing'
import { NOT_STAGED, SAME_CONTENT } from '../store/section.ts'
import type { Batch, Section } from '../store/section.ts'
import {
  AREA, batchOf, fileEntry, holds, MTIME_NS, name, names, packOf, path, put, sectionOf, STAGING, structure,
} from './store-subject.ts'
import type { Contents, StoreSubject } from './store-subject.ts'

/** Makes a directory, and stages files for it in their own folder; returns the batch that places them. */
async function stageFolder (subject: StoreSubject, files: Contents): Promise<Batch> {
  const { store } = subject
  const digest = subject.hash(new Uint8Array())
  const entries = encodeListing([{ kind: 'directory', name: name('album'), mtimeNs: MTIME_NS, mode: 0o755, digest }])
  const parent: Section = { directory: ROOT_PATH, entries, staged: Uint32Array.of(NOT_STAGED), facts: new Uint8Array() }
  await store.openArea(AREA)
  ensure((await store.place(AREA, batchOf([parent], 1000), 'first')).failures.length === 0, 'a directory was not made')
  const section = { ...sectionOf(subject, files), directory: path('album'), folder: 7 }
  const { sections, ...pack } = packOf(subject, files)
  ensure((await store.stagePack({ ...pack, sections: sections.map(part => ({ ...part, section })) })).length === 0, 'a pack was not staged')
  return { ...batchOf([section], 1000), wholeFolders: [7] }
}

/** Placing batches, once and again after a crash. */
export const storePlacingCases: readonly ConformanceCase<StoreSubject>[] = [
  {
    name: 'shows nothing of what is staged, and everything that is placed',
    async run (subject) {
      const { store } = subject
      await store.openArea(AREA)
      await store.stagePack(packOf(subject, { a: 'one', b: 'two' }))
      ensure(await names(store) === '', 'what is staged can be seen')
      const batch = batchOf([sectionOf(subject, { a: 'one', b: 'two' })], 1000)
      ensure((await store.place(AREA, batch, 'first')).failures.length === 0, 'the batch was not placed')
      const isPlaced = await names(store) === 'a,b' && await holds(subject, 'a', 'one') && await holds(subject, 'b', 'two')
      ensure(isPlaced, 'what was placed is not there')
      const [found] = await store.list(AREA, ROOT_PATH)
      const isSame = found?.kind === 'file' && found.sizeBytes === 3 && found.mode === 0o644 && found.mtimeNs === MTIME_NS
      ensure(isSame, 'size, mode or time is wrong')
    },
  },
  {
    name: 'places a batch again if an unknown part of it was placed before',
    async run (subject) {
      const { store } = subject
      await store.openArea(AREA)
      await put(subject, { a: 'old' }, 1000)
      await store.stagePack(packOf(subject, { a: 'new', b: 'more' }))
      const batch = batchOf([sectionOf(subject, { a: 'new', b: 'more' })], 2000)
      await store.place(AREA, batch, 'first')
      ensure((await store.place(AREA, batch, 'again')).failures.length === 0, 'what was placed before failed')
      ensure(await holds(subject, 'a', 'new') && await holds(subject, 'b', 'more'), 'the content is wrong')
      ensure((await store.versions(AREA, ROOT_PATH)).length === 1, 'placing again made versions')
      const { failures: lost } = await store.place(AREA, batchOf([sectionOf(subject, { c: 'lost' })], 2000), 'again')
      ensure(lost.length === 1 && await names(store) === 'a,b', 'a content that does not exist was placed')
    },
  },
  {
    name: 'sets the mode of a file that stays, also again after a crash, but not of one that was altered',
    async run (subject) {
      const { store } = subject
      await store.openArea(AREA)
      await put(subject, { a: 'stays', b: 'stays', c: 'stays' }, 1000)
      const b = { ...fileEntry('b', 5), mtimeNs: MTIME_NS + 10_000_000_000n }
      const entries = [{ ...fileEntry('a', 5), mode: 0o600 }, b, { ...fileEntry('c', 4), mode: 0o600 }, fileEntry('d', 5)]
      for (const how of ['first', 'again'] as const) {
        const { failures } = await store.place(AREA, batchOf([structure(entries)], 2000), how)
        const altered = failures.map(({ entry, isAltered }) => `${String(entry)}:${String(isAltered)}`)
        ensure(altered.join() === '1:true,2:true,3:true', 'the wrong files were reported as altered')
      }
      const same = { ...structure([b]), staged: Uint32Array.of(SAME_CONTENT) }
      for (const how of ['first', 'again'] as const) {
        const { failures } = await store.place(AREA, batchOf([same], 2000), how)
        ensure(failures.length === 0, 'the time of a file with the same content was not set')
      }
      const found = await store.find(AREA, ROOT_PATH, ['a', 'b', 'c'])
      const states = found.map(entry => `${String(entry?.mode)}:${String((entry?.mtimeNs ?? 0n) - MTIME_NS)}`)
      ensure(states.join() === `${String(0o600)}:0,${String(0o644)}:10000000000,${String(0o644)}:0`, 'modes or times are wrong')
    },
  },
  {
    name: 'places a folder of files as a whole, and again after a crash',
    async run (subject) {
      const { store } = subject
      const batch = await stageFolder(subject, { a: 'one', b: 'two' })
      const { failures } = await store.place(AREA, batch, 'first')
      ensure(failures.length === 0 && await names(store, 'album') === 'a,b', 'the folder was not placed')
      const { failures: again } = await store.place(AREA, batch, 'again')
      ensure(again.length === 0 && await names(store, 'album') === 'a,b', 'what was placed before failed')
    },
  },
  {
    name: 'places the files of a folder one by one if their directory is not empty',
    async run (subject) {
      const { store } = subject
      const batch = await stageFolder(subject, { a: 'one', b: 'two' })
      const strange = { ...sectionOf(subject, { c: 'other' }), directory: path('album'), staged: Uint32Array.of(100) }
      const { sections, ...pack } = packOf(subject, { c: 'other' })
      await store.stagePack({ ...pack, sections: sections.map(part => ({ ...part, section: strange })) })
      await store.place(AREA, batchOf([strange], 1000), 'first')
      const { failures } = await store.place(AREA, batch, 'first')
      ensure(failures.length === 0 && await names(store, 'album') === 'a,b,c', 'the files are not beside the other one')
    },
  },
  {
    name: 'replaces a file by a directory and a directory by a file',
    async run (subject) {
      const { store } = subject
      await store.openArea(AREA)
      await put(subject, { x: 'a file' }, 1000)
      const directory: Entry = { kind: 'directory', name: name('x'), mtimeNs: 0n, mode: 0o755, digest: subject.hash(new Uint8Array(0)) }
      const batch = batchOf([structure([directory])], 2000)
      ensure((await store.place(AREA, batch, 'first')).failures.length === 0, 'the directory was not made')
      ensure((await store.place(AREA, batch, 'again')).failures.length === 0, 'the directory was not found again')
      await store.applyDirectoryStates(AREA, [{ directory: path('x'), mtimeNs: MTIME_NS, mode: 0o500 }])
      const [found] = await store.list(AREA, ROOT_PATH)
      ensure(found?.kind === 'directory' && found.mtimeNs === MTIME_NS && found.mode === 0o700, 'time or mode of the directory is wrong')
      await put(subject, { x: 'again a file' }, 3000)
      ensure(await holds(subject, 'x', 'again a file'), 'the file is not there')
      const kinds = (await store.versions(AREA, path('x'))).map(({ found: { kind } }) => kind)
      ensure(kinds.join() === 'directory,file', 'one of the two was lost')
    },
  },
  {
    name: 'gives a file that moves a second name until it is placed',
    async run (subject) {
      const { store } = subject
      await store.openArea(AREA)
      await put(subject, { from: 'moves' }, 1000)
      const given = { sizeBytes: 5, mtimeNs: MTIME_NS, mode: 0o200 }
      const failures = await store.relocate(AREA, STAGING, [
        { from: path('from'), number: 7, ...given },
        { from: path('never'), number: 8, ...given },
        { from: path('from'), number: 9, ...given, sizeBytes: 6 },
        { from: path('from'), number: 10, ...given, mtimeNs: MTIME_NS - 5_000_000_000n },
      ])
      ensure(failures.map(({ entry }) => entry).join() === '1,2,3', 'a file that is missing or was altered was moved')
      const section = { ...sectionOf(subject, { to: 'moves' }), staged: Uint32Array.of(7) }
      ensure((await store.place(AREA, batchOf([section], 2000), 'first')).failures.length === 0, 'the file was not placed')
      const modes = (await store.list(AREA, ROOT_PATH)).map(({ name: at, mode }) => `${at} ${mode.toString(8)}`).sort().join()
      ensure(modes === 'from 644,to 600', `the names have the modes ${modes}`)
      await store.remove(AREA, { count: 2, stampMs: 2000, removals: [{ directory: ROOT_PATH, names: [name('from')] }] })
      ensure(await names(store) === 'to' && await holds(subject, 'to', 'moves'), 'the file did not move')
      ensure((await store.list(AREA, ROOT_PATH))[0]?.mode === 0o600, 'the file does not have its new mode')
      await store.discard(undefined)
    },
  },
]
