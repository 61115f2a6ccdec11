import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { parseListenAddress } from '@filesync/program'
import { serveMetrics } from '@filesync/program/node'

describe('an address to listen on', () => {
  test.each([
    ['9464', '127.0.0.1', 9464], ['127.0.0.1:0', '127.0.0.1', 0], ['0.0.0.0:9464', '0.0.0.0', 9464],
    ['nas.local:80', 'nas.local', 80], ['[::1]:9464', '::1', 9464], ['[fe80::1%eth0]:1', 'fe80::1%eth0', 1],
  ])('may be %s', (text, host, port) => { expect(parseListenAddress(text)).toEqual({ host, port }) })

  test.each([
    '', ':', ':9464', 'localhost', '127.0.0.1', '127.0.0.1:', '1:2:3', '::1:9464',
    '127.0.0.1:65536', '-1', '127.0.0.1:1e3', 'a b:1', 'http://a:1',
  ])('is not %j', text => {
    expect(() => parseListenAddress(text)).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })
})

describe('the metrics port', () => {
  const source = { contentType: 'text/plain; version=0.0.4', metrics: async () => 'up 1\n' }

  test('serves metrics, and nothing else', async () => {
    const served = await serveMetrics({ host: '127.0.0.1', port: 0 }, source)
    const ask = async (path: string, method = 'GET'): Promise<[number, string]> => {
      const answer = await fetch(`http://127.0.0.1:${served.port}${path}`, { method })
      return [answer.status, await answer.text()]
    }
    expect(await ask('/metrics')).toEqual([200, 'up 1\n'])
    expect(await ask('/metrics', 'POST')).toEqual([404, 'Metrics are at /metrics.\n'])
    expect((await ask('/../secret'))[0]).toBe(404)
    await served.close()
    await expect(ask('/metrics')).rejects.toThrow()
  })

  test('is an error if another program uses it', async () => {
    const other = createServer()
    await new Promise<void>(resolve => { other.listen(0, '127.0.0.1', resolve) })
    const { port } = other.address() as AddressInfo
    await expect(serveMetrics({ host: '127.0.0.1', port }, source)).rejects.toEqual(expect.objectContaining({
      code: 'PORT_UNAVAILABLE', message: expect.stringContaining(`port ${port}`) as unknown,
    }))
    other.close()
  })
})
