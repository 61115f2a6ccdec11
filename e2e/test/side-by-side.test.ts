import { mkdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { mirrorOf, Stage } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

describe('several servers and clients on one machine', () => {
  let stage: Stage
  beforeEach(async () => { stage = await Stage.open() })
  afterEach(async () => { await stage.dispose() })

  async function makeSource (name: string): Promise<string> {
    const source = stage.path(name)
    await mkdir(source)
    for (let i = 0; i < 50; i++) {
      await writeFile(join(source, `${name}-${i}`), `${name} ${i}`)
      await utimes(join(source, `${name}-${i}`), 1_700_000_000, 1_700_000_000)
    }
    return source
  }

  test('two servers and two clients do not disturb each other', async () => {
    const [red, blue] = [await stage.startServer('red'), await stage.startServer('blue')]
    await stage.pair(red, 'anna')
    await stage.pair(blue, 'bert')
    const [annas, berts] = [await makeSource('annas'), await makeSource('berts')]
    const [anna, bert] = await Promise.all([stage.push('anna', annas), stage.push('bert', berts)])
    expect(anna, anna.stderr).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 50 } })
    expect(bert, bert.stderr).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 50 } })
    expect(await treeDifferences(annas, mirrorOf(red, 'anna', annas))).toEqual([])
    expect(await treeDifferences(berts, mirrorOf(blue, 'bert', berts))).toEqual([])
    await expect(stat(join(red.archive, 'bert'))).rejects.toThrow('ENOENT')
    await expect(stat(join(blue.archive, 'anna'))).rejects.toThrow('ENOENT')
  })

  test('two clients that wish for the same name get folders of their own', async () => {
    const server = await stage.startServer()
    await stage.pair(server, 'first', 'laptop')
    await stage.pair(server, 'second', 'laptop')
    const [one, two] = [await makeSource('one'), await makeSource('two')]
    const pushed = await Promise.all([stage.push('first', one), stage.push('second', two)])
    expect(pushed.map(({ code }) => code)).toEqual([0, 0])
    expect(await treeDifferences(one, mirrorOf(server, 'laptop', one))).toEqual([])
    expect(await treeDifferences(two, mirrorOf(server, 'laptop-2', two))).toEqual([])
  })
})
