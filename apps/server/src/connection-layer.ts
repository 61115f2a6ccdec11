import type { Connection } from '@filesync/protocol'

/** A connection of which a part behaves otherwise. */
export function layerOver (connection: Connection, changes: Partial<Pick<Connection, 'send' | 'receive' | 'next'>>): Connection {
  return {
    get signal () { return connection.signal },
    get bytesSent () { return connection.bytesSent },
    get bytesReceived () { return connection.bytesReceived },
    send: async message => { await connection.send(message) },
    sendRaw: async (...frame) => { await connection.sendRaw(...frame) },
    sendFrame: async frame => { await connection.sendFrame(frame) },
    receive: async (types, withinMs) => await connection.receive(types, withinMs),
    next: async () => await connection.next(),
    close: async error => { await connection.close(error) },
    destroy: error => { connection.destroy(error) },
    ...changes,
  }
}
