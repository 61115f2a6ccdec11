/**
 * Replaces the client of the original program, byte for byte: one `recv(8192)` for each answer, it gives up on BUSY, and
 * cannot sleep until a time that is past. Arguments: port, directory, id or "-", rounds at most. One line of JSON a round.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join, relative } from 'node:path'
import { naiveIso, recv } from './recv.ts'

const [port = '', directory = '', id = '-', rounds = '1'] = process.argv.slice(2)

async function recvJson (socket: ReturnType<typeof connect>): Promise<Record<string, unknown>> {
  return JSON.parse((await recv(socket, 8192)).toString('utf8')) as Record<string, unknown>
}

async function round (): Promise<number> {
  const socket = connect(Number(port), '127.0.0.1')
  await new Promise<void>((resolve, reject) => { socket.once('connect', resolve).once('error', reject) })
  const status = await recvJson(socket)
  if (status.type !== 'SERVER_STATUS_MESSAGE' || status.status !== 'READY')
    throw new Error(`The server is not ready: ${JSON.stringify(status)}`)
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile()).map(entry => {
    const full = join(entry.parentPath, entry.name)
    return { name: entry.name, path: relative(directory, full), last_mod: naiveIso(statSync(full, { bigint: true }).mtimeNs) }
  })
  socket.write(JSON.stringify({ type: 'CLIENT_FILES_INFO', client_id: id === '-' ? null : id, files }))
  const tasks = await recvJson(socket)
  if (tasks.type !== 'TASKS') throw new Error('These are no tasks.')
  const asked = tasks.files_to_send as string[]
  for (const file of files) {
    if (!asked.includes(file.path)) continue
    const content = readFileSync(join(directory, file.path))
    socket.write(
      `${JSON.stringify({ type: 'FILE_HEADER', name: file.name, path: file.path, size: content.length, last_mod: file.last_mod })}\n`
    )
    socket.write(content)
  }
  const next = await recvJson(socket)
  socket.end()
  if (next.type !== 'NEXT_SYNC') throw new Error('This is no time for the next sync.')
  // A timestamp without a zone is local to Date too.
  const sleepMs = new Date(next.time as string).getTime() - Date.now()
  if (!(sleepMs >= 0)) throw new Error('sleep length must be non-negative')
  process.stdout.write(`${JSON.stringify({ asked: asked.length, sleepMs })}\n`)
  return sleepMs
}

const AT_ONCE_MS = 5_000

for (let done = 0; done < Number(rounds); done++) {
  const sleepMs = await round()
  if (sleepMs > AT_ONCE_MS) break
  await new Promise(resolve => { setTimeout(resolve, sleepMs) })
}
