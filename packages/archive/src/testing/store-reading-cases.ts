import { DIGEST_BYTES, encodeListing, ROOT_PATH } from '@filesync/protocol'
import type { FileEntry } from '@filesync/protocol'
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
    name: 'lists a directory without the files that are known, and restores sections of it',
    async run (subject) {
      const { store, restoreTo, restoredText, hash } = subject
      await store.openArea(AREA)
      await put(subject, { a: 'one', b: 'other', c: 'three' }, 1000)
      const times = { mtimeNs: 1_700_000_000_000_000_000n, mode: 0o644 }
      const file = (called: string, content: string): FileEntry => (
        { kind: 'file', name: name(called), sizeBytes: content.length, fileId: 0n, ...times }
      )
      const known = encodeListing([file('a', 'one'), file('b', 'two'), file('gone', '')])
      const listed = (await store.list(AREA, ROOT_PATH, known)).map(entry => entry.name).filter(called => called !== 'a' && called !== 'b')
      ensure(listed.join() === 'c', 'a file that is not known was left out, or one that is not there was listed')
      const digests = new Uint8Array(3 * DIGEST_BYTES)
      for (const [i, content] of ['one', 'two', ''].entries()) digests.set(hash(bytesOf(content)), i * DIGEST_BYTES)
      const section = { directory: ROOT_PATH, listing: known, digests }
      const { files, bytes, failures } = await store.restore(AREA, { sections: [section], files: [], directories: [], to: restoreTo })
      const failed = failures.map(({ path: at, mismatch }) => `${at}:${String(mismatch)}`)
      ensure(files === 1 && bytes === 3 && restoredText('a') === 'one' && restoredText('b') === undefined, 'something else was restored')
      ensure(failed.join() === 'b:other,gone:absent', 'files with other content, or that are gone, were not reported')
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
