import { ROOT_PATH } from '@filesync/protocol'
import { ensure } from '@filesync/protocol/testing'
import type { ConformanceCase } from '@filesync/protocol/testing'
import { versionFolder } from '../store/version-folder.ts'
import { AREA, bytesOf, name, names, path, put } from './store-subject.ts'
import type { StoreSubject } from './store-subject.ts'

/** What is stored is found again, as it is and as it was. */
export const storeReadingCases: readonly ConformanceCase<StoreSubject>[] = [
  {
    name: 'keeps what is replaced and removed as versions, newest first, and brings it back',
    async run (subject) {
      const { store, restoreTo, restoredText } = subject
      await store.openArea(AREA)
      await put(subject, { a: 'first', b: 'stays' }, 1000)
      await put(subject, { a: 'second' }, 2000)
      await store.remove(AREA, { count: 3, stampMs: 3000, removals: [{ directory: ROOT_PATH, names: [name('a'), name('never')] }] })
      ensure(await names(store) === 'b', 'what was removed is there')
      const folders = [versionFolder({ count: 2, stampMs: 2000, extra: 0 }), versionFolder({ count: 3, stampMs: 3000, extra: 0 })] as const
      const versions = await store.versions(AREA, path('a'))
      ensure(versions.map(({ folder, found }) => `${folder}:${String(found.sizeBytes)}`).join() === `${folders[1]}:6,${folders[0]}:5`, 'the versions are not those that were replaced')
      ensure((await store.versions(AREA, ROOT_PATH)).length === 2 && (await store.versions(AREA, path('b'))).length === 0, 'there are other versions')
      const outcome = await store.restore(AREA, { files: [{ path: path('a'), folder: folders[0] }, { path: path('b'), folder: undefined }], directories: [], to: restoreTo })
      ensure(outcome.files === 2 && outcome.failures.length === 0, 'not everything was restored')
      ensure(restoredText('a') === 'first' && restoredText('b') === 'stays', 'something else was restored')
      const later = { files: [{ path: path('a'), folder: folders[1] }, { path: path('b'), folder: undefined }], directories: [], to: restoreTo }
      const beside = await store.restore(AREA, later)
      ensure(beside.files === 1 && beside.failures.map(failure => failure.path).join() === 'a' && restoredText('a') === 'first', 'what stood there was written over, or what is the same was refused')
      ensure((await store.restore(AREA, { ...later, overwrite: true })).failures.length === 0 && restoredText('a') === 'second', 'what stood there was not replaced')
      await store.dropVersions(AREA, versions.slice(1))
      ensure((await store.versions(AREA, ROOT_PATH)).map(({ folder }) => folder).join() === folders[1], 'another version was dropped')
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
]
