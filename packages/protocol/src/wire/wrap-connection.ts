import type { Connection } from './connection.ts'

/** Wraps a connection, overriding some methods. */
export function wrapConnection (
  connection: Connection, overrides: Partial<Pick<Connection, 'send' | 'sendRaw' | 'sendFrame' | 'receive' | 'next'>>,
): Connection {
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
    ...overrides,
  }
}
