import { ROOT_PATH } from '@filesync/protocol'
import { ensure } from '@filesync/protocol/testing'
import type { ConformanceCase } from '@filesync/protocol/testing'
import type { RestoreRequest } from '../store/content-store.ts'
import { versionFolder } from '../store/version-folder.ts'
import { AREA, bytesOf, name, names, path, put } from './store-subject.ts'
import type { StoreSubject } from './store-subject.ts'

/** Reading what is stored, and versions of what was. */
export const storeReadingCases: readonly ConformanceCase<StoreSubject>[] = [
  {
    name: 'keeps what is replaced and removed as versions, lists them newest first, and restores them',
    async run (subject) {
      const { store, restoreTo, restoredText } = subject
      await store.openArea(AREA)
      await put(subject, { a: 'first', b: 'stays' }, 1000)
      await put(subject, { a: 'second' }, 2000)
      await store.remove(AREA, { count: 3, stampMs: 3000, removals: [{ directory: ROOT_PATH, names: [name('a'), name('never')] }] })
      ensure(await names(store) === 'b', 'what was removed is still there')
      const folders = [versionFolder({ count: 2, stampMs: 2000, extra: 0 }), versionFolder({ count: 3, stampMs: 3000, extra: 0 })] as const
      const versions = await store.versions(AREA, path('a'))
      const sizes = versions.map(({ folder, found }) => `${folder}:${String(found.sizeBytes)}`)
      ensure(sizes.join() === `${folders[1]}:6,${folders[0]}:5`, 'the versions are not what was replaced')
      const [ofAll, ofB] = [await store.versions(AREA, ROOT_PATH), await store.versions(AREA, path('b'))]
      ensure(ofAll.length === 2 && ofB.length === 0, 'there are other versions')
      const requestFrom = (folder: string): RestoreRequest => (
        { files: [{ path: path('a'), folder }, { path: path('b'), folder: undefined }], directories: [], to: restoreTo }
      )
      const outcome = await store.restore(AREA, requestFrom(folders[0]))
      ensure(outcome.files === 2 && outcome.failures.length === 0, 'not everything was restored')
      ensure(restoredText('a') === 'first' && restoredText('b') === 'stays', 'something else was restored')
      const later = requestFrom(folders[1])
      const beside = await store.restore(AREA, later)
      const isLeft = beside.files === 1 && beside.failures.map(failure => failure.path).join() === 'a' && restoredText('a') === 'first'
      ensure(isLeft, 'another file was overwritten, or the same file was refused')
      const { failures } = await store.restore(AREA, { ...later, overwrite: true })
      ensure(failures.length === 0 && restoredText('a') === 'second', 'another file was not replaced')
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
      const lines = found.map(entry => entry === undefined ? 'nothing' : `${entry.name}:${entry.kind}:${String(entry.sizeBytes)}`)
      ensure(lines.join() === 'b:file:100000,nothing,a:file:3', 'something else was found')
      ensure((await store.find(AREA, path('nowhere'), ['a']))[0] === undefined, 'something was found in a directory that does not exist')
      const read = await store.reread(AREA, path('b'))
      const digest = hash(bytesOf('x'.repeat(100_000)))
      ensure(read !== undefined && read.digest.every((byte, i) => byte === digest[i]), 'another content was read')
      const missing = [await store.reread(AREA, path('c')), await store.reread(AREA, path('no/where'))]
      ensure(missing.every(reread => reread === undefined), 'a file that does not exist was read')
    },
  },
]
