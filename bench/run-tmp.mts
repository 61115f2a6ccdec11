import { benchTransfer } from './src/transfer.ts'
for (const f of await benchTransfer({ directory: '/dev/shm' })) console.log(f.work.padEnd(32), Math.round(f.durationMs)+' ms', 'cpu '+Math.round(f.cpuMs), Math.round(f.filesPerSecond)+' files/s', (f.bytesPerSecond/2**30).toFixed(2)+' GiB/s')
