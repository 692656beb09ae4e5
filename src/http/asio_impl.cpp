// The compiled bodies of Asio's TLS part and of Beast, once for the whole program. Asio's core is compiled in base.
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
