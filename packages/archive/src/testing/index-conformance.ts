import { encodeListing } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { ensure } from '@filesync/protocol/testing'
import type { ConformanceCase } from '@filesync/protocol/testing'
import type { ArchiveIndex } from '../store/archive-index.ts'
import { FACT_BYTES } from '../store/facts.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { name, path } from './store-subject.ts'

function stored (entry: string, files: number): StoredDirectory {
  const listing = encodeListing([{ kind: 'symlink', name: name(entry), mtimeNs: 1n, target: 'x' }])
  return { listing, facts: new Uint8Array(files * FACT_BYTES).fill(files) }
}

const at = (area: string, directory: string): { area: string, directory: RelativePath } => ({ area, directory: path(directory) })

function same (left: Uint8Array | undefined, right: Uint8Array): boolean {
  return left?.length === right.length && left.every((byte, i) => byte === right[i])
}

/** What every {@link ArchiveIndex} has to do. Each case gets an empty one. */
export const archiveIndexConformance: readonly ConformanceCase<ArchiveIndex>[] = [
  {
    name: 'gives back directories, and only those of the area',
    async run (index) {
      await index.write([{ put: at('a', ''), stored: stored('one', 2) }, { put: at('a', 'sub'), stored: stored('two', 0) }, { put: at('ab', ''), stored: stored('x', 1) }])
      const root = index.directory(at('a', ''))
      ensure(root !== undefined && same(root.listing, stored('one', 2).listing) && same(root.facts, stored('one', 2).facts), 'the root is not what was put')
      ensure(same(index.directory(at('a', 'sub'))?.facts, new Uint8Array(0)), 'facts that are empty did not come back empty')
      ensure(same(index.listing(at('a', 'sub')), stored('two', 0).listing), 'the listing is not what was put')
      ensure(index.listing(at('b', '')) === undefined, 'an area that was never written has a listing')
      const all = [...index.directories('a')].map(({ directory, files }) => `${directory}:${String(files)}`)
      ensure(all.join() === ':2,sub:0', `the directories are ${all.join()}`)
      const behind = ['', 'sub', 'ta'].map(after => [...index.directories('a', path(after))].length)
      ensure(behind.join() === '1,0,0', 'the directories behind one are others')
    },
  },
  {
    name: 'drops a directory alone, or with all that lies below it and nothing beside',
    async run (index) {
      const paths = ['', 'd', 'd/e', 'd/e/f', 'd0', 'd-', 'de']
      await index.write(paths.map(directory => ({ put: at('a', directory), stored: stored('n', 1) })))
      await index.write([{ drop: at('a', 'd/e'), recursive: false }])
      ensure(index.listing(at('a', 'd/e')) === undefined && index.listing(at('a', 'd/e/f')) !== undefined, 'one directory was not dropped alone')
      await index.write([{ drop: at('a', 'd'), recursive: true }])
      const left = [...index.directories('a')].map(({ directory }) => directory)
      ensure(left.sort().join() === ',d-,d0,de', `what is left is ${left.join()}`)
    },
  },
  {
    name: 'keeps what it gave while it reads on',
    async run (index) {
      await index.write([{ put: at('a', 'x'), stored: stored('first', 3) }, { put: at('a', 'y'), stored: stored('second', 5) }])
      const first = index.directory(at('a', 'x'))
      index.directory(at('a', 'y'))
      ensure(same(first?.listing, stored('first', 3).listing) && same(first?.facts, stored('first', 3).facts), 'a later read changed what an earlier one gave')
    },
  },
  {
    name: 'keeps records, signatures and the journal in order',
    async run (index) {
      const section = { directory: path('d'), entries: stored('n', 0).listing, staged: Uint32Array.of(7, 0xffff_ffff), facts: new Uint8Array(3).fill(9) }
      const batch = { staging: 's', count: 1, stampMs: 5, begunMs: 5, sections: [section], removals: [{ directory: path('r'), names: [name('x'), name('ü')] }] }
      await index.write([
        { area: 'a', journal: 300, batch }, { area: 'a', journal: 2, batch }, { area: 'b', journal: 1, batch },
        { area: 'a', record: { open: true, lastStampMs: 9, staging: 's' } },
        { area: 'a', path: path('big'), signature: Uint8Array.of(1, 2, 3) },
      ])
      const journal = index.journal('a')
      ensure(journal.map(({ number }) => number).join() === '2,300', 'the journal is out of order or has foreign entries')
      const read = journal[0]?.batch
      ensure(read?.stampMs === 5 && read.removals[0]?.names.join() === 'x,ü', 'the batch is not what was written')
      ensure(read.sections[0]?.staged.join() === '7,4294967295' && same(read.sections[0].entries, section.entries) && same(read.sections[0].facts, section.facts), 'the section is not what was written')
      ensure(index.area('a')?.lastStampMs === 9 && index.areas().join() === 'a', 'the record is not what was written')
      ensure(same(index.signature('a', path('big')), Uint8Array.of(1, 2, 3)), 'the signature is not what was written')
      await index.write([{ area: 'a', journal: 2, batch: undefined }, { area: 'a', path: path('big'), signature: undefined }])
      ensure(index.journal('a').length === 1 && index.signature('a', path('big')) === undefined, 'what was taken out is still there')
    },
  },
  {
    name: 'keeps what is damaged, path by path and only of the area',
    async run (index) {
      const record = { what: 'altered' as const, foundAtMs: 7, stored: stored('n', 1) }
      await index.write([
        { area: 'a', path: path('z'), damages: [record] }, { area: 'ab', path: path('y'), damages: [record] },
        { area: 'a', path: path('d/e'), damages: [{ ...record, untilMs: 9 }, record] },
      ])
      const all = [...index.damages('a')].map(({ path, records }) => `${path}:${records.map(({ untilMs }) => String(untilMs ?? 'open')).join('+')}`)
      ensure(all.join() === 'd/e:9+open,z:open', `the damage is ${all.join()}`)
      const [read] = index.damagesAt('a', path('z'))
      ensure(read?.what === 'altered' && read.foundAtMs === 7 && same(read.stored.listing, record.stored.listing) && same(read.stored.facts, record.stored.facts), 'the record is not what was written')
      await index.write([{ area: 'a', path: path('z'), damages: [] }])
      ensure(index.damagesAt('a', path('z')).length === 0 && [...index.damages('a')].length === 1, 'what was forgotten is still there')
    },
  },
]
