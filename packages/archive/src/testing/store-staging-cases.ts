import { DIGEST_BYTES, encodeListing } from '@filesync/protocol'
import type { Entry } from '@filesync/protocol'
import { ensure } from '@filesync/protocol/testing'
import type { ConformanceCase } from '@filesync/protocol/testing'
import type { StagedStreamRequest } from '../store/content-store.ts'
import { AREA, batchOf, bytesOf, fileEntry, holds, MTIME_NS, packOf, path, put, sectionOf, STAGING, structure } from './store-subject.ts'
import type { StoreSubject } from './store-subject.ts'

/** Staging content, before it is placed. */
export const storeStagingCases: readonly ConformanceCase<StoreSubject>[] = [
  {
    name: 'refuses contents with another size or digest, and stages the others',
    async run (subject) {
      const { store } = subject
      await store.openArea(AREA)
      const { staging, pack, sections } = packOf(subject, { a: 'one', b: 'two', c: 'three' })
      pack[DIGEST_BYTES] = 0
      const lengths = Uint32Array.of(3, 2, 5)
      const failures = await store.stagePack({ staging, pack, sections: sections.map(section => ({ ...section, lengths })) })
      const codes = failures.map(({ entry, code }) => `${String(entry)} ${code}`)
      ensure(codes.join() === '0 DIGEST_MISMATCH,1 CHANGED_DURING_READ', 'the wrong contents were refused')
    },
  },
  {
    name: 'finds contents that are noise and would replace plain ones, and leaves them in staging',
    async run (subject) {
      const { store } = subject
      const plain = 'A sentence that can be read. '.repeat(20)
      const noise = Uint8Array.from(Array.from({ length: 16 }, (_, i) => [...subject.hash(Uint8Array.of(i))]).flat())
      await store.openArea(AREA)
      await put(subject, { spoiled: plain, changed: plain, noisy: noise, short: 'x' }, 1000)
      const fresh = { changed: plain.toUpperCase(), fresh: noise, noisy: noise.slice(1), short: 'y', spoiled: noise }
      await store.stagePack(packOf(subject, fresh))
      const sections = [structure([fileEntry('spoiled', 1)]), sectionOf(subject, fresh)]
      const { replacing, spoiled } = await store.findSpoiled(AREA, STAGING, sections)
      ensure(replacing === 4, 'files that would be replaced were not counted')
      ensure(spoiled.map(({ section, entry }) => `${String(section)}:${String(entry)}`).join() === '1:4', 'other files were found')
      ensure(await holds(subject, 'spoiled', plain), 'the file was replaced')
      const { failures } = await store.place(AREA, batchOf([sectionOf(subject, fresh)], 2000), 'first')
      ensure(failures.length === 0 && await holds(subject, 'spoiled', noise), 'it can no longer be placed')
    },
  },
  {
    name: 'gives staged content further names, each with its own mode, that are placed like others',
    async run (subject) {
      const { store } = subject
      await store.openArea(AREA)
      ensure((await store.stagePack(packOf(subject, { a: 'one' }))).length === 0, 'a pack was not staged')
      const links = [{ number: 1, mode: 0o644 }, { number: 2, mode: 0o600 }, { number: 3, mode: 0o600 }]
      ensure((await store.linkStaged(STAGING, 0, links)).length === 0, 'a name was refused')
      const { facts } = sectionOf(subject, { a: 'one', b: 'one', c: 'one', d: 'one' })
      const entries = encodeListing([
        fileEntry('a', 3), fileEntry('b', 3), { ...fileEntry('c', 3), mode: 0o600 }, { ...fileEntry('d', 3), mode: 0o600 },
      ] as Entry[])
      const section = { directory: path(''), entries, staged: Uint32Array.of(0, 1, 2, 3), facts }
      ensure((await store.place(AREA, batchOf([section], 1000), 'first')).failures.length === 0, 'the batch was not placed')
      for (const at of ['a', 'b', 'c', 'd']) ensure(await holds(subject, at, 'one'), `${at} has other content`)
      const found = (await store.list(AREA, path(''))).map(({ name, mode, mtimeNs }) => `${name} ${mode.toString(8)} ${String(mtimeNs)}`)
      const wanted = ['a 644', 'b 644', 'c 600', 'd 600'].map(line => `${line} ${String(MTIME_NS)}`)
      ensure(found.sort().join() === wanted.join(), 'a name has another mode or time')
    },
  },
  {
    name: 'separates a file that gets another mode from other names of it, and not if all of them get it',
    async run (subject) {
      const { store } = subject
      await store.openArea(AREA)
      await put(subject, { a: 'one' }, 1000)
      const kept = { number: 0, sizeBytes: 3, mtimeNs: MTIME_NS, mode: 0o644 }
      ensure((await store.relocate(AREA, STAGING, [{ ...kept, from: path('a') }])).length === 0, 'the file got no second name')
      const second = { ...sectionOf(subject, { b: 'one' }), staged: Uint32Array.of(0) }
      ensure((await store.place(AREA, batchOf([second], 2000), 'first')).failures.length === 0, 'the second name was not placed')
      const touch = async (names: readonly string[], mode: number): Promise<string> => {
        const entries = names.map(at => ({ ...fileEntry(at, 3), mode }) as Entry)
        ensure((await store.place(AREA, batchOf([structure(entries)], 3000), 'first')).failures.length === 0, 'a mode was not set')
        return (await store.list(AREA, path(''))).map(({ name, mode: given }) => `${name} ${given.toString(8)}`).sort().join()
      }
      ensure(await touch(['a', 'b'], 0o640) === 'a 640,b 640', 'the names did not both get the mode')
      ensure(await touch(['b'], 0o600) === 'a 640,b 600', 'the other name got the mode too')
      ensure(await holds(subject, 'a', 'one') && await holds(subject, 'b', 'one'), 'the content changed')
    },
  },
  {
    name: 'keeps an unfinished large file, and resumes it where it was interrupted',
    async run ({ store, hash }) {
      await store.openArea(AREA)
      const content = bytesOf('0123456789')
      const request = streamOf(content, 0o644)
      const first = await store.openStream(request)
      await first.write(content.slice(0, 4))
      await first.abandon()
      ensure((await store.partials(AREA)).get('p') === 4, 'what arrived was not kept')
      const second = await store.openStream({ ...request, offset: 4 })
      await second.write(content.slice(4))
      ensure(await second.finish(hash(content)) === 'WHOLE', 'the file is not whole')
      ensure((await store.partials(AREA)).size === 0, 'the unfinished file is still there')
      const third = await store.openStream(request)
      await third.write(content.slice(0, 9))
      ensure(await third.finish(hash(content)) === 'DIFFERENT', 'a file that is too short was accepted')
      const fourth = await store.openStream({ ...request, partial: 'q' })
      await fourth.abandon()
      await store.retainPartials(AREA, new Set())
      ensure((await store.partials(AREA)).size === 0, 'an unfinished file that is not wanted was kept')
    },
  },
  {
    name: 'turns a large file that is complete but was never placed back into an unfinished one',
    async run ({ store, hash }) {
      await store.openArea(AREA)
      const content = new Uint8Array(5 << 20).map((_, at) => at * 7 >> 5)
      const request = streamOf(content, 0o444)
      const first = await store.openStream(request)
      await first.write(content.slice())
      ensure(await first.finish(hash(content)) === 'WHOLE', 'the file is not whole')
      await store.reclaim(AREA, STAGING)
      await store.reclaim(AREA, 'never')
      await store.discard(undefined)
      ensure((await store.partials(AREA)).get('p') === content.length, 'what was complete has to be sent again')
      const second = await store.openStream({ ...request, offset: content.length })
      ensure(await second.finish(hash(content)) === 'WHOLE', 'the file is no longer whole')
      await store.discard(undefined)
      await store.retainPartials(AREA, new Set())
    },
  },
]

/** A request to stage a large file. */
function streamOf (content: Uint8Array, mode: number): StagedStreamRequest {
  return {
    area: AREA,
    staging: STAGING,
    number: 0,
    partial: 'p',
    offset: 0,
    present: path('big'),
    sizeBytes: content.length,
    mtimeNs: MTIME_NS,
    mode,
  }
}
