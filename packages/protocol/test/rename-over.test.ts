import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { renameOver } from '@filesync/protocol/node'

/** Two files. The second one cannot be replaced for some attempts, as on Windows while a process has it open. */
function heldFor (attempts: number, code = 'EPERM'): { readonly from: string, readonly to: string, readonly tried: () => number } {
  const directory = fs.mkdtempSync(join(tmpdir(), 'filesync-rename-'))
  const [from, to] = [join(directory, 'new'), join(directory, 'old')]
  for (const path of [from, to]) fs.writeFileSync(path, path)
  const { rename } = fs.promises
  let tried = 0
  fs.promises.rename = async (...args) => {
    if (++tried <= attempts) throw Object.assign(new Error(code), { code })
    await rename(...args)
  }
  syncBuiltinESMExports()
  onTestFinished(() => {
    fs.promises.rename = rename
    syncBuiltinESMExports()
    fs.rmSync(directory, { recursive: true })
  })
  return { from, to, tried: () => tried }
}

test('a file that is open for a moment is replaced as soon as it can be', async () => {
  const { from, to, tried } = heldFor(2)
  await renameOver(from, to, [1, 1, 1])
  expect([fs.readFileSync(to, 'utf8'), fs.existsSync(from), tried()]).toEqual([from, false, 3])
})

test.each([['EPERM', [1, 1], 3], ['EPERM', [], 1], ['ENOSPC', [1, 1], 1]] as const)(
  'what fails with %s and waits of %j is given up after %i attempts, with nothing changed', async (code, waits, attempts) => {
    const { from, to, tried } = heldFor(Infinity, code)
    await expect(renameOver(from, to, waits)).rejects.toThrow(code)
    expect([fs.readFileSync(to, 'utf8'), fs.readFileSync(from, 'utf8'), tried()]).toEqual([to, from, attempts])
  })
