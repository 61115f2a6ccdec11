import { FileSyncError } from '@filesync/protocol'

/** The same refusal for every client that has not proven anything, whatever the reason. @param why for the server's own log */
export function pairingRefused (why: string): FileSyncError {
  return new FileSyncError('PAIRING_REFUSED', 'The pairing code or enrollment token was not accepted. ' +
    'It may be mistyped, expired or already used. Get a new one with "filesync-server pair" or "filesync-server token create".',
  { cause: new Error(why) })
}

/** The refusal of a client that has proven that it knows the secret, but the area that it was meant to take over is gone. */
export function areaGone (area: string): FileSyncError {
  return new FileSyncError('PAIRING_REFUSED', `The server has no client "${area}" any more, whose files this machine was to continue. ` +
    'Run "filesync-server peers" there to see the names, and "filesync-server pair --for NAME" again.', {
    cause: new Error(`there is no area "${area}" to take over`),
  })
}

/** The refusal of a revoked client that has proven that it holds a token: only such a client can do something about it. */
export function clientRevoked (): FileSyncError {
  return new FileSyncError('PAIRING_REFUSED', 'The server has revoked this client, and a token does not admit it again. ' +
    'To admit it again, run "filesync-server pair" on the server and "filesync-client pair" here.', {
    cause: new Error('it was revoked, and a token does not admit it again'),
  })
}
