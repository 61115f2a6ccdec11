/**
 * Replaces the server of the original program, byte for byte: it speaks first, reads the list with one `recv(8192)`,
 * wants what is missing or newer, writes in place, and deletes what is not listed. Arguments: directory, seconds between
 * two syncs. Prints its port.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { dirname, join, relative } from 'node:path'
import { naiveIso, recv, recvAll } from './recv.ts'

const [directory = '', interval = '60'] = process.argv.slice(2)

interface Listed { readonly path: string, readonly last_mod: string }

async function serve (socket: Socket): Promise<void> {
  socket.write('{"type":"SERVER_STATUS_MESSAGE","status":"BUSY"}')
  socket.write('{"type":"SERVER_STATUS_MESSAGE","status":"READY"}')
  const info = JSON.parse((await recv(socket, 8192)).toString('utf8')) as { client_id: string | null, files: Listed[] }
  const root = join(directory, `client_${info.client_id ?? (socket.remoteAddress ?? '').replaceAll('.', '_')}`)
  mkdirSync(root, { recursive: true })
  const isWanted = ({ path, last_mod: time }: Listed): boolean => {
    const copy = join(root, path)
    return !existsSync(copy) || new Date(time).getTime() > Math.ceil(statSync(copy).mtimeMs)
  }
  const wanted = info.files.filter(isWanted).map(({ path }) => path)
  socket.write(`${JSON.stringify({ type: 'TASKS', files_to_send: wanted })}\n`)
  for (let i = 0; i < wanted.length; i++) {
    let line = ''
    for (let letter = await recvAll(socket, 1); letter[0] !== 0x0a; letter = await recvAll(socket, 1)) line += letter.toString('latin1')
    const header = JSON.parse(Buffer.from(line, 'latin1').toString('utf8')) as { path: string, size: number, last_mod: string }
    const at = join(root, header.path)
    mkdirSync(dirname(at), { recursive: true })
    writeFileSync(at, await recvAll(socket, header.size))
    utimesSync(at, new Date(header.last_mod), new Date(header.last_mod))
  }
  const named = new Set(info.files.map(({ path }) => path))
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const full = join(entry.parentPath, entry.name)
    if (entry.isFile() && !named.has(relative(root, full))) rmSync(full)
  }
  socket.end(JSON.stringify({ type: 'NEXT_SYNC', time: naiveIso(BigInt(Date.now() + Number(interval) * 1000) * 1_000_000n) }))
}

const server = createServer(socket => {
  serve(socket).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`)
    socket.destroy()
  })
})
server.listen(0, '127.0.0.1', () => { process.stdout.write(`${(server.address() as AddressInfo).port}\n`) })
