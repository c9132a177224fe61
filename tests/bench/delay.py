#!/usr/bin/env python3
"""A store that is further away: passes TCP connections on and holds every piece back for a while.

    delay.py ADDRESS PORT MILLISECONDS

Listens on a free port of ADDRESS, prints its number, and adds MILLISECONDS to every round trip to ADDRESS:PORT. Pieces
are held back side by side, so that only the delay grows and not the rate falls.
"""

import asyncio
import sys

PIECE = 1 << 18


async def pump(reader, writer, delay):
    loop, pieces = asyncio.get_running_loop(), asyncio.Queue(64)

    async def take():
        while piece := await reader.read(PIECE):
            await pieces.put((loop.time() + delay, piece))
        await pieces.put((loop.time() + delay, b""))

    taking = asyncio.create_task(take())
    try:
        while True:
            due, piece = await pieces.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        taking.cancel()
        writer.close()


async def main(address, port, milliseconds):
    async def connection(reader, writer):
        far_reader, far_writer = await asyncio.open_connection(address, port)
        delay = milliseconds / 2000
        await asyncio.gather(pump(reader, far_writer, delay), pump(far_reader, writer, delay), return_exceptions=True)

    server = await asyncio.start_server(connection, address, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
