import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { connect as connectTls } from 'node:tls'
import { Worker } from 'node:worker_threads'
import { afterEach, expect, test } from 'vitest'

// scripts/loopback-only.js is loaded into every test process. 192.0.2.0/24 is for documentation (RFC 5737): were the guard
// broken, what these cases send would reach nobody.

const refused = expect.objectContaining({ code: 'EOFFLOOPBACK' }) as Error
const sockets: Socket[] = []

function udp (): Socket {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  sockets.push(socket)
  return socket
}

async function bound (address: string, port = 0): Promise<Socket> {
  const socket = udp()
  socket.bind(port, address)
  await once(socket, 'listening')
  return socket
}

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close()
})

test('UDP is bound to loopback or a group only', async () => {
  expect(() => udp().bind(0)).toThrow(refused)
  expect(() => udp().bind()).toThrow(refused)
  expect(() => udp().bind({ port: 0, address: '0.0.0.0' })).toThrow(refused)
  expect(() => udp().bind(0, '192.0.2.1')).toThrow(refused)
  await bound('127.0.0.1')
  await bound('239.255.1.2')
})

test('UDP is sent to loopback only', async () => {
  const socket = await bound('127.0.0.1')
  expect(() => { socket.send('x', 9, '192.0.2.1') }).toThrow(refused)
  expect(() => { socket.send(Buffer.from('xyz'), 0, 1, 9, '192.0.2.1') }).toThrow(refused)
  expect(() => { socket.send('x', 9, 'example.org', () => { /* not reached */ }) }).toThrow(refused)
  expect(() => { socket.connect(9, '192.0.2.1') }).toThrow(refused)
  const heard = once(socket, 'message')
  socket.send('x', socket.address().port, '127.0.0.1')
  await heard
})

test('a group is joined and sent to over loopback only', async () => {
  const socket = await bound('239.255.1.2')
  expect(() => { socket.addMembership('239.255.1.2') }).toThrow(refused)
  expect(() => { socket.addMembership('239.255.1.2', '192.0.2.1') }).toThrow(refused)
  expect(() => { socket.addSourceSpecificMembership('192.0.2.1', '239.255.1.2') }).toThrow(refused)
  expect(() => { socket.setMulticastInterface('192.0.2.1') }).toThrow(refused)
  expect(() => { socket.setMulticastInterface('0.0.0.0') }).toThrow(refused)
  expect(() => { socket.send('x', 9, '239.255.1.2') }).toThrow(refused)
  socket.setMulticastInterface('127.0.0.1')
  socket.addMembership('239.255.1.2', '127.0.0.1')
  const heard = once(socket, 'message')
  socket.send('x', socket.address().port, '239.255.1.2')
  await heard
})

test('TCP is listened on and connected to over loopback only', async () => {
  expect(() => createServer().listen(0)).toThrow(refused)
  expect(() => createServer().listen()).toThrow(refused)
  expect(() => createServer().listen({ port: 0, host: '::' })).toThrow(refused)
  expect(() => connect(9, '192.0.2.1')).toThrow(refused)
  expect(() => connect({ port: 9, host: 'example.org' })).toThrow(refused)
  expect(() => connectTls({ port: 9, host: '192.0.2.1' })).toThrow(refused)
  await expect(fetch('http://192.0.2.1:8080/')).rejects.toMatchObject({ cause: { code: 'EOFFLOOPBACK' } })

  const server = createServer(socket => { socket.end() }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const socket = connect(typeof address === 'object' && address !== null ? address.port : 0)
  await once(socket.resume(), 'close')
  server.close()
})

test('pipes are left alone', async () => {
  const path = join(tmpdir(), `filesync-guard-${process.pid}.sock`)
  const server = createServer(socket => { socket.end() }).listen(path)
  await once(server, 'listening')
  await once(connect(path).resume(), 'close')
  server.close()
})

const attempt =
  "import('node:net').then(net => { try { net.connect(9, '192.0.2.1'); console.log('went out') } " +
    'catch (e) { console.log(e.code) } process.exit() })'

test('child processes are bound by it too', () => {
  const child = spawnSync(process.execPath, ['--eval', attempt], { encoding: 'utf8' })
  expect(child.stdout.trim()).toBe('EOFFLOOPBACK')
})

test('no variable frees a process in the namespace of the test run', () => {
  const env = { ...process.env, FILESYNC_TEST_INTERFACES: 'lo,eth0,en0,wlan0', FILESYNC_TEST_HOME_NETNS: undefined }
  const child = spawnSync(process.execPath, ['--eval', attempt], { encoding: 'utf8', env })
  expect(child.stdout.trim()).toBe('EOFFLOOPBACK')
})

test('worker threads are bound by it too', async () => {
  const code =
    "require('node:worker_threads').parentPort.postMessage((() => { try { require('node:net').connect(9, '192.0.2.1'); " +
      "return 'went out' } catch (e) { return e.code } })())"
  const worker = new Worker(code, { eval: true })
  const [said] = await once(worker, 'message') as [string]
  expect(said).toBe('EOFFLOOPBACK')
  await worker.terminate()
})
