import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkTypes, installPacked, openingExample, PackedPackages, runInstalled } from '../src/packed-packages.ts'

/** What the opening example of each README prints, if it was run from the packed package alone. */
const OPENINGS: readonly (readonly [name: string, prints: RegExp])[] = [
  ['discovery', /^up Lamp, 2nd floor .*\nchanged Lamp, 2nd floor .*\ngone Lamp, 2nd floor .*\n$/u],
  ['program', /^Hello, world!\n$/u],
]

let scratch: string
let packed: PackedPackages
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'filesync-packed-'))
  packed = new PackedPackages(join(scratch, 'tarballs'))
})
afterAll(() => { rmSync(scratch, { recursive: true, force: true }) })

describe.each(OPENINGS)('the opening example of %s', (name, prints) => {
  test.each(['npm', 'pnpm'] as const)('runs, and type-checks strictly, installed by %s alone', { timeout: 180_000 }, async manager => {
    const into = join(scratch, `${manager}-${name}`)
    installPacked(packed, { manager, into, names: [packed.add(`packages/${name}`)] })
    writeFileSync(join(into, 'example.ts'), openingExample(`packages/${name}`))
    // What is installed is the same, but only pnpm keeps packages apart that are not declared.
    if (manager === 'pnpm') expect(await checkTypes(into, 'example.ts')).toBe('')
    const { stdout, stderr } = await runInstalled(into, ['example.ts'])
    expect(stderr).toBe('')
    expect(stdout).toMatch(prints)
  })
})
