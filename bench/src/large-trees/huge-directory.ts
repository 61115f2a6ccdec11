import type { Bench } from '../bench.ts'
import { withSide } from '../pairs.ts'
import { atMost, totalCpuMs, under } from '../row.ts'
import type { Bar, Row } from '../row.ts'
import { GROWTH, PEAK_BYTES } from './bars.ts'
import { LargeTree } from './large-tree.ts'
import { expectStored, openSide, pushTree, StepRuns } from './pushes.ts'
import { ONE_DIRECTORY, SMALL_DIRECTORIES } from './tree-shape.ts'
import type { TreeShape } from './tree-shape.ts'

const FIRST = 'first push'
/** One changed file must cost the change, not the directory. */
const SMALL_CHANGE = [under('wireBytes', 100_000), under('serverWrittenBytes', 1_000_000)]
const BARS = new Map<string, readonly Bar[]>([
  [FIRST, [atMost('cpuGrowth', GROWTH)]], ['one file added', SMALL_CHANGE], ['one file removed', SMALL_CHANGE],
])

/** All files in one directory, beside the same number in small directories, and beside a tenth of them in one directory. */
export async function hugeDirectory (bench: Bench): Promise<Row[]> {
  const tenth = await pushAndChange(bench, { shape: ONE_DIRECTORY, files: Math.ceil(bench.files / 10), isFirstOnly: true })
  const flat = await pushAndChange(bench, { shape: ONE_DIRECTORY, files: bench.files })
  const spread = await pushAndChange(bench, { shape: SMALL_DIRECTORIES, files: bench.files })
  return flat.steps.flatMap(step => {
    const shared = { case: 'huge-directory', theirs: [], isDetailed: true }
    const ratio = totalCpuMs(flat.of(step)) / totalCpuMs(spread.of(step))
    return [
      {
        ...shared, work: `${step}, ${bench.files} files in one directory: ${ratio.toFixed(2)} times the CPU of small ones`,
        bars: [under('peakBytes', PEAK_BYTES), ...BARS.get(step) ?? []], ours: flat.of(step), tenthCpuMs: totalCpuMs(tenth.of(FIRST)),
      },
      { ...shared, work: `${step}, ${bench.files} files in directories of 125`, bars: [], ours: spread.of(step) },
    ]
  })
}

interface Pushed {
  readonly shape: TreeShape
  readonly files: number
  /** Whether no change follows the first push. */
  readonly isFirstOnly?: boolean
}

async function pushAndChange (bench: Bench, { shape, files, isFirstOnly = false }: Pushed): Promise<StepRuns> {
  const tree = await LargeTree.make(bench, shape, files)
  bench.log(`made ${tree.files} files in ${tree.directories} directories below the root`)
  const runs = new StepRuns(bench.log)
  for (let pass = 0; pass < bench.pairs; pass++) {
    await withSide(await openSide(bench), async side => {
      const push = async (step: string, sent: number, deleted = 0): Promise<void> => {
        runs.add(step, await pushTree(bench, side, tree, { sent, deleted }))
      }
      await push(FIRST, tree.files)
      await expectStored(bench, side, tree)
      if (isFirstOnly) return
      await push('no change', 0)
      tree.addOne()
      await push('one file added', 1)
      tree.removeOne()
      await push('one file removed', 0, 1)
      await push('1 % changed', tree.changeOnePercent().length)
      await expectStored(bench, side, tree)
    })
  }
  tree.remove()
  return runs
}
