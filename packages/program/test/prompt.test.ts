import { expect, test } from 'vitest'
import { canPrompt, prompt, readSecretLine } from '@filesync/program/node'
import { fakeTerminal } from '@filesync/program/testing'

function parseEven (text: string): number {
  if (Number(text) % 2 !== 0) throw new Error('That is odd.')
  return Number(text)
}

test('asks only if both input and output are a terminal', () => {
  const [on, off] = [fakeTerminal({}, true), fakeTerminal({}, false)]
  expect([canPrompt(on), canPrompt(off)]).toEqual([true, false])
  expect(canPrompt({ stdin: on.stdin, stdout: off.stdout })).toBe(false)
  expect(canPrompt({ stdin: off.stdin, stdout: on.stdout })).toBe(false)
})

test('explains an invalid answer and asks again', async () => {
  const terminal = fakeTerminal({}, true)
  const asked = prompt(terminal, 'An even number:', parseEven)
  terminal.input.write('3\n')
  await expect.poll(() => terminal.printed()).toMatch(/That is odd\.\n.*An even number: /u)
  terminal.input.write(' 4 \n')
  expect(await asked).toBe(4)
})

test('fails if the input ends', async () => {
  const terminal = fakeTerminal({}, true)
  const asked = prompt(terminal, 'An even number:', parseEven)
  terminal.input.end()
  await expect(asked).rejects.toEqual(expect.objectContaining({ code: 'ABORTED' }))
})

test.each([
  ['1234-5678\nmore', '1234-5678'], ['  padded \r\n', 'padded'], ['no line end', 'no line end'], ['', ''],
])('reads from %j the secret %j', async (text, secret) => {
  const terminal = fakeTerminal()
  terminal.input.end(text)
  expect(await readSecretLine(terminal)).toBe(secret)
})

test('refuses an endless secret', async () => {
  const terminal = fakeTerminal()
  terminal.input.write('x'.repeat(5000))
  await expect(readSecretLine(terminal)).rejects.toEqual(expect.objectContaining({ code: 'USAGE' }))
})
