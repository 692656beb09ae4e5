// The sockets below Stream: with connection.cpp's spawning the only code of the server that sees Asio.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/system/error_code.hpp>
#include <memory>
#include <string>

#include "base/error.h"
#include "http/server.h"
#include "http/stream.h"

namespace mayfly::http {

std::unique_ptr<Stream> make_plain_stream(boost::asio::ip::tcp::socket socket);
std::unique_ptr<Stream> make_tls_stream(boost::asio::ip::tcp::socket socket,
                                        std::shared_ptr<boost::asio::ssl::context> context);
// TLS 1.2 or newer, with the certificate chain and key of `files`.
Result<std::shared_ptr<boost::asio::ssl::context>> make_tls_context(const TlsFiles& files);

Error stream_error(const boost::system::error_code& error);
// "127.0.0.1:4566" of the other side, "" when it is gone already.
std::string address_of_peer(const boost::asio::ip::tcp::socket& socket);

}  // namespace mayfly::http
