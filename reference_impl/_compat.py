from __future__ import annotations
async def start_tls(loop, transport, protocol, sslcontext, **kw):
    return await loop.start_tls(transport, protocol, sslcontext, **kw)
