import type { Connection } from './connection.ts'

/** The same connection, a part of which behaves otherwise for whoever is given it. */
export function wrapConnection (connection: Connection, changes: Partial<Pick<Connection, 'send' | 'receive' | 'next'>>): Connection {
  return {
    get signal () { return connection.signal },
    get bytesSent () { return connection.bytesSent },
    get bytesReceived () { return connection.bytesReceived },
    send: async message => { await connection.send(message) },
    sendRaw: async (...frame) => { await connection.sendRaw(...frame) },
    sendFrame: async (...frame) => { await connection.sendFrame(...frame) },
    receive: async (types, withinMs) => await connection.receive(types, withinMs),
    next: async () => await connection.next(),
    reuse: buffer => { connection.reuse(buffer) },
    close: async error => { await connection.close(error) },
    destroy: error => { connection.destroy(error) },
    ...changes,
  }
}
