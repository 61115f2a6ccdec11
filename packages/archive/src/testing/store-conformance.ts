import { DIGEST_BYTES, encodeListing, ROOT_PATH } from '@filesync/protocol'
import type { Entry, HashBytes, Name, RelativePath } from '@filesync/protocol'
import { ensure } from '@filesync/protocol/testing'
import type { ConformanceCase } from '@filesync/protocol/testing'
import type { ContentStore, PackRequest, StreamRequest } from '../content-store.ts'
import { FACT_BYTES, writeFact } from '../facts.ts'
import { NOT_STAGED, SAME_CONTENT } from '../section.ts'
import type { Batch, Section } from '../section.ts'

/** An empty store, and what its cases need beside it. */
export interface StoreSubject {
  readonly store: ContentStore
  readonly hash: HashBytes
  /** A directory to restore to, outside of the store, and what then lies there. */
  readonly restoreTo: string
  readonly restoredText: (path: string) => string | undefined
}

const AREA = 'laptop'
const STAGING = 'folder'
const MTIME_NS = 1_600_000_000_000_000_000n

const path = (text: string): RelativePath => text as RelativePath
const bytesOf = (content: string | Uint8Array): Uint8Array<ArrayBuffer> => typeof content === 'string' ? new TextEncoder().encode(content) : new Uint8Array(content)

function fileEntry (name: string, sizeBytes: number): Entry {
  return { kind: 'file', name: name as Name, sizeBytes, mtimeNs: MTIME_NS, mode: 0o644, identity: 1n }
}

type Contents = Readonly<Record<string, string | Uint8Array>>

/** Files of the root as one section; contents are numbered from 0 in the order of the names. */
function sectionOf ({ hash }: StoreSubject, files: Contents): Section {
  const names = Object.keys(files).sort()
  const facts = new Uint8Array(names.length * FACT_BYTES)
  names.forEach((name, i) => { writeFact(facts, i * FACT_BYTES, { digest: hash(bytesOf(files[name] ?? '')), storedAtMs: 1, verifiedAtMs: 0 }) })
  const entries = encodeListing(names.map(name => fileEntry(name, bytesOf(files[name] ?? '').length)))
  return { directory: ROOT_PATH, entries, staged: Uint32Array.from(names, (_, i) => i), facts }
}

function packOf (subject: StoreSubject, files: Contents): PackRequest {
  const section = sectionOf(subject, files)
  const contents = Object.keys(files).sort().map(name => bytesOf(files[name] ?? ''))
  const pack = new Uint8Array(contents.reduce((sum, { length }) => sum + DIGEST_BYTES + length, 0))
  let at = 0
  const offsets = contents.map(content => {
    pack.set(subject.hash(content), at)
    pack.set(content, at + DIGEST_BYTES)
    at += DIGEST_BYTES + content.length
    return at - content.length
  })
  return { staging: STAGING, pack, sections: [{ section, offsets: Uint32Array.from(offsets), lengths: Uint32Array.from(contents, ({ length }) => length) }] }
}

function batchOf (sections: readonly Section[], stampMs: number): Batch {
  return { staging: STAGING, stampMs, sections, removals: [] }
}

/** Stages and places files in the root. */
async function put (subject: StoreSubject, files: Contents, stampMs: number): Promise<void> {
  const { store } = subject
  ensure((await store.stagePack(packOf(subject, files))).length === 0, 'a pack was not staged')
  ensure((await store.place(AREA, batchOf([sectionOf(subject, files)], stampMs), 'first')).length === 0, 'a batch was not placed')
  await store.makeDurable()
}

/** Makes a directory, and stages files for it in a folder of their own; returns the batch that places them. */
async function stageFolder (subject: StoreSubject, files: Contents): Promise<Batch> {
  const { store } = subject
  const entries = encodeListing([{ kind: 'directory', name: 'album' as Name, mtimeNs: MTIME_NS, mode: 0o755, digest: subject.hash(new Uint8Array()) }])
  const parent: Section = { directory: ROOT_PATH, entries, staged: Uint32Array.of(NOT_STAGED), facts: new Uint8Array() }
  await store.openArea(AREA)
  ensure((await store.place(AREA, batchOf([parent], 1000), 'first')).length === 0, 'a directory was not made')
  const section = { ...sectionOf(subject, files), directory: path('album'), folder: 7 }
  const { sections, ...pack } = packOf(subject, files)
  ensure((await store.stagePack({ ...pack, sections: sections.map(part => ({ ...part, section })) })).length === 0, 'a pack was not staged')
  return { ...batchOf([section], 1000), wholeFolders: [7] }
}

async function names (store: ContentStore, directory = ''): Promise<string> {
  return (await store.list(AREA, path(directory))).map(({ name }) => name).sort().join()
}

async function holds ({ store, hash }: StoreSubject, name: string, content: string | Uint8Array): Promise<boolean> {
  const [digest] = await store.digests(AREA, ROOT_PATH, [name])
  const wanted = hash(bytesOf(content))
  return digest?.every((byte, i) => byte === wanted[i]) === true
}

function structure (entries: readonly Entry[]): Section {
  return { directory: ROOT_PATH, entries: encodeListing(entries), staged: new Uint32Array(entries.length).fill(NOT_STAGED), facts: new Uint8Array(0) }
}

/** What every {@link ContentStore} has to do. Each case gets an empty one. */
export const contentStoreConformance: readonly ConformanceCase<StoreSubject>[] = [
  {
    name: 'shows nothing of what is staged, and all of what is placed',
    async run (subject) {
      const { store } = subject
      await store.openArea(AREA)
      await store.stagePack(packOf(subject, { a: 'one', b: 'two' }))
      ensure(await names(store) === '', 'what is staged can be seen')
      ensure((await store.place(AREA, batchOf([sectionOf(subject, { a: 'one', b: 'two' })], 1000), 'first')).length === 0, 'the batch was not placed')
      ensure(await names(store) === 'a,b' && await holds(subject, 'a', 'one') && await holds(subject, 'b', 'two'), 'what was placed is not there')
      const [found] = await store.list(AREA, ROOT_PATH)
      ensure(found?.kind === 'file' && found.sizeBytes === 3 && found.mode === 0o644 && found.mtimeNs === MTIME_NS, 'size, mode or time is another one')
    },
  },
  {
    name: 'refuses contents with another size or digest, and stages the others',
    async run (subject) {
      const { store } = subject
      await store.openArea(AREA)
      const { staging, pack, sections } = packOf(subject, { a: 'one', b: 'two', c: 'three' })
      pack[DIGEST_BYTES] = 0
      const lengths = Uint32Array.of(3, 2, 5)
      const failures = await store.stagePack({ staging, pack, sections: sections.map(section => ({ ...section, lengths })) })
      ensure(failures.map(({ entry, code }) => `${String(entry)} ${code}`).join() === '0 DIGEST_MISMATCH,1 CHANGED_DURING_READ', 'the wrong contents were refused')
    },
  },
  {
    name: 'keeps what is replaced and removed as versions, newest first, and brings it back',
    async run (subject) {
      const { store, restoreTo, restoredText } = subject
      await store.openArea(AREA)
      await put(subject, { a: 'first', b: 'stays' }, 1000)
      await put(subject, { a: 'second' }, 2000)
      await store.remove(AREA, { stampMs: 3000, removals: [{ directory: ROOT_PATH, names: ['a', 'never'] }] }, 'first')
      ensure(await names(store) === 'b', 'what was removed is there')
      const versions = await store.versions(AREA, path('a'))
      ensure(versions.map(({ untilMs, sizeBytes }) => `${String(untilMs)}:${String(sizeBytes)}`).join() === '3000:6,2000:5', 'the versions are not those that were replaced')
      ensure((await store.versions(AREA, ROOT_PATH)).length === 2 && (await store.versions(AREA, path('b'))).length === 0, 'there are other versions')
      const outcome = await store.restore(AREA, { files: [{ path: path('a'), version: 2000 }, { path: path('b'), version: undefined }], directories: [], to: restoreTo })
      ensure(outcome.files === 2 && outcome.failures.length === 0, 'not everything was restored')
      ensure(restoredText('a') === 'first' && restoredText('b') === 'stays', 'something else was restored')
      await store.dropVersions(AREA, versions.slice(1))
      ensure((await store.versions(AREA, ROOT_PATH)).map(({ untilMs }) => untilMs).join() === '3000', 'another version was dropped')
    },
  },
  {
    name: 'finds the contents that are noise and would take the place of plain ones, and leaves them in staging',
    async run (subject) {
      const { store } = subject
      const plain = 'A sentence that can be read. '.repeat(20)
      const noise = Uint8Array.from({ length: 16 }).reduce((all, _, i) => Uint8Array.of(...all, ...subject.hash(Uint8Array.of(i))), new Uint8Array(0))
      await store.openArea(AREA)
      await put(subject, { spoiled: plain, changed: plain, noisy: noise, short: 'x' }, 1000)
      const fresh = { changed: plain.toUpperCase(), fresh: noise, noisy: noise.slice(1), short: 'y', spoiled: noise }
      await store.stagePack(packOf(subject, fresh))
      const { replacing, spoiled } = await store.findSpoiled(AREA, STAGING, [structure([fileEntry('spoiled', 1)]), sectionOf(subject, fresh)])
      ensure(replacing === 4, 'files that would be replaced were not counted')
      ensure(spoiled.map(({ section, entry }) => `${String(section)}:${String(entry)}`).join() === '1:4', 'other files were found')
      ensure(await holds(subject, 'spoiled', plain), 'the file was replaced')
      ensure((await store.place(AREA, batchOf([sectionOf(subject, fresh)], 2000), 'first')).length === 0 && await holds(subject, 'spoiled', noise), 'it cannot be placed any more')
    },
  },
  {
    name: 'finds single names, and reads a file again to its end',
    async run (subject) {
      const { store, hash } = subject
      await store.openArea(AREA)
      await put(subject, { a: 'one', b: 'x'.repeat(100_000) }, 1000)
      const found = await store.find(AREA, ROOT_PATH, ['b', 'c', 'a'])
      ensure(found.map(entry => entry === undefined ? 'nothing' : `${entry.name}:${entry.kind}:${String(entry.sizeBytes)}`).join() === 'b:file:100000,nothing,a:file:3', 'something else was found')
      ensure((await store.find(AREA, path('nowhere'), ['a']))[0] === undefined, 'something was found in a directory that is not there')
      const read = await store.reread(AREA, path('b'))
      ensure(read !== undefined && read.digest.every((byte, i) => byte === hash(bytesOf('x'.repeat(100_000)))[i]), 'another content was read')
      ensure(await store.reread(AREA, path('c')) === undefined && await store.reread(AREA, path('no/where')) === undefined, 'what is not there was read')
    },
  },
  {
    name: 'places a batch again of which an unknown part was placed before',
    async run (subject) {
      const { store } = subject
      await store.openArea(AREA)
      await put(subject, { a: 'old' }, 1000)
      await store.stagePack(packOf(subject, { a: 'new', b: 'more' }))
      const batch = batchOf([sectionOf(subject, { a: 'new', b: 'more' })], 2000)
      await store.place(AREA, batch, 'first')
      ensure((await store.place(AREA, batch, 'again')).length === 0, 'what was placed before failed')
      ensure(await holds(subject, 'a', 'new') && await holds(subject, 'b', 'more'), 'the content is another one')
      ensure((await store.versions(AREA, ROOT_PATH)).length === 1, 'placing again made versions')
      const lost = await store.place(AREA, batchOf([sectionOf(subject, { c: 'lost' })], 2000), 'again')
      ensure(lost.length === 1 && await names(store) === 'a,b', 'a content that is nowhere was placed')
    },
  },
  {
    name: 'gives a file that stays its mode, again after a crash too, and none that was altered',
    async run (subject) {
      const { store } = subject
      await store.openArea(AREA)
      await put(subject, { a: 'stays', b: 'stays', c: 'stays' }, 1000)
      const b = { ...fileEntry('b', 5), mtimeNs: MTIME_NS + 10_000_000_000n }
      const entries = [{ ...fileEntry('a', 5), mode: 0o600 }, b, { ...fileEntry('c', 4), mode: 0o600 }, fileEntry('d', 5)]
      for (const how of ['first', 'again'] as const) {
        const failures = await store.place(AREA, batchOf([structure(entries)], 2000), how)
        ensure(failures.map(({ entry, isAltered }) => `${String(entry)}:${String(isAltered)}`).join() === '1:true,2:true,3:true', 'other files were taken for what was stored')
      }
      const same = { ...structure([b]), staged: Uint32Array.of(SAME_CONTENT) }
      for (const how of ['first', 'again'] as const) ensure((await store.place(AREA, batchOf([same], 2000), how)).length === 0, 'what is known to be the same did not get its time')
      const found = await store.find(AREA, ROOT_PATH, ['a', 'b', 'c'])
      ensure(found.map(entry => `${String(entry?.mode)}:${String((entry?.mtimeNs ?? 0n) - MTIME_NS)}`).join() === `${String(0o600)}:0,${String(0o644)}:10000000000,${String(0o644)}:0`, 'modes or times are others')
    },
  },
  {
    name: 'places a folder of files as a whole, and again after a crash',
    async run (subject) {
      const { store } = subject
      const batch = await stageFolder(subject, { a: 'one', b: 'two' })
      ensure((await store.place(AREA, batch, 'first')).length === 0 && await names(store, 'album') === 'a,b', 'the folder was not placed')
      ensure((await store.place(AREA, batch, 'again')).length === 0 && await names(store, 'album') === 'a,b', 'what was placed before failed')
    },
  },
  {
    name: 'places the files of a folder one by one where something stands in their directory already',
    async run (subject) {
      const { store } = subject
      const batch = await stageFolder(subject, { a: 'one', b: 'two' })
      const strange = { ...sectionOf(subject, { c: 'other' }), directory: path('album'), staged: Uint32Array.of(100) }
      const { sections, ...pack } = packOf(subject, { c: 'other' })
      await store.stagePack({ ...pack, sections: sections.map(part => ({ ...part, section: strange })) })
      await store.place(AREA, batchOf([strange], 1000), 'first')
      ensure((await store.place(AREA, batch, 'first')).length === 0 && await names(store, 'album') === 'a,b,c', 'the files do not stand beside the other one')
    },
  },
  {
    name: 'lets a directory take the place of a file and a file that of a directory',
    async run (subject) {
      const { store } = subject
      await store.openArea(AREA)
      await put(subject, { x: 'a file' }, 1000)
      const directory: Entry = { kind: 'directory', name: 'x' as Name, mtimeNs: 0n, mode: 0o755, digest: subject.hash(new Uint8Array(0)) }
      ensure((await store.place(AREA, batchOf([structure([directory])], 2000), 'first')).length === 0, 'the directory was not made')
      ensure((await store.place(AREA, batchOf([structure([directory])], 2000), 'again')).length === 0, 'the directory was not found again')
      await store.settle(AREA, [{ directory: path('x'), mtimeNs: MTIME_NS, mode: 0o500 }])
      const [found] = await store.list(AREA, ROOT_PATH)
      ensure(found?.kind === 'directory' && found.mtimeNs === MTIME_NS && found.mode === 0o700, 'time or mode of the directory is another one')
      await put(subject, { x: 'again a file' }, 3000)
      ensure(await holds(subject, 'x', 'again a file'), 'the file is not there')
      ensure((await store.versions(AREA, path('x'))).map(({ kind }) => kind).join() === 'directory,file', 'one of the two was lost')
    },
  },
  {
    name: 'keeps an unfinished large file, and goes on from where it broke off',
    async run ({ store, hash }) {
      await store.openArea(AREA)
      const content = bytesOf('0123456789')
      const request: StreamRequest = {
        area: AREA, staging: STAGING, number: 0, partial: 'p', offset: 0, present: path('big'), sizeBytes: 10, mtimeNs: MTIME_NS, mode: 0o644,
      }
      const first = await store.openStream(request)
      await first.write(content.slice(0, 4))
      await first.abandon()
      ensure((await store.partials(AREA)).get('p') === 4, 'what arrived was not kept')
      const second = await store.openStream({ ...request, offset: 4 })
      await second.write(content.slice(4))
      ensure(await second.finish(hash(content)), 'the file is not whole')
      ensure((await store.partials(AREA)).size === 0, 'the unfinished file is still there')
      const third = await store.openStream(request)
      await third.write(content.slice(0, 9))
      ensure(!await third.finish(hash(content)), 'a file that is too short was taken')
      const fourth = await store.openStream({ ...request, partial: 'q' })
      await fourth.abandon()
      await store.keepPartials(AREA, new Set())
      ensure((await store.partials(AREA)).size === 0, 'an unfinished file that is not wanted was kept')
    },
  },
  {
    name: 'makes a large file unfinished again that is whole but was never placed',
    async run ({ store, hash }) {
      await store.openArea(AREA)
      const content = new Uint8Array(5 << 20).map((_, at) => at * 7 >> 5)
      const request: StreamRequest = {
        area: AREA, staging: STAGING, number: 0, partial: 'p', offset: 0, present: path('big'), sizeBytes: content.length, mtimeNs: MTIME_NS, mode: 0o444,
      }
      const first = await store.openStream(request)
      await first.write(content.slice())
      ensure(await first.finish(hash(content)), 'the file is not whole')
      await store.reclaim(AREA, STAGING)
      await store.reclaim(AREA, 'never')
      await store.discard(undefined)
      ensure((await store.partials(AREA)).get('p') === content.length, 'what was whole has to be sent again')
      const second = await store.openStream({ ...request, offset: content.length })
      ensure(await second.finish(hash(content)), 'the file is not whole any more')
      await store.discard(undefined)
      await store.keepPartials(AREA, new Set())
    },
  },
  {
    name: 'gives a file that moves a second name until it is placed',
    async run (subject) {
      const { store } = subject
      await store.openArea(AREA)
      await put(subject, { from: 'moves' }, 1000)
      const given = { sizeBytes: 5, mtimeNs: MTIME_NS }
      const failures = await store.relocate(AREA, STAGING, [
        { from: path('from'), number: 7, ...given }, { from: path('never'), number: 8, ...given },
        { from: path('from'), number: 9, ...given, sizeBytes: 6 }, { from: path('from'), number: 10, ...given, mtimeNs: MTIME_NS - 5_000_000_000n },
      ])
      ensure(failures.map(({ entry }) => entry).join() === '1,2,3', 'a file that is not there or was altered was moved')
      const section = { ...sectionOf(subject, { to: 'moves' }), staged: Uint32Array.of(7) }
      ensure((await store.place(AREA, batchOf([section], 2000), 'first')).length === 0, 'the file was not placed')
      await store.remove(AREA, { stampMs: 2000, removals: [{ directory: ROOT_PATH, names: ['from'] }] }, 'first')
      ensure(await names(store) === 'to' && await holds(subject, 'to', 'moves'), 'the file did not move')
      await store.discard(undefined)
    },
  },
]
