-- Scripts that have to answer as Redis does; a line of two percent signs ends each.
%%
return foo
%%
foo=1
%%
return redis.call('nope')
%%
return redis.pcall('nope')
%%
return redis.call()
%%
return redis.call({})
%%
return redis.call('get')
%%
error('x')
%%
error({err='My Err'})
%%
error({err='MYERR hello'})
%%
error()
%%
error(nil)
%%
return {err='boo'}
%%
return {err='boo bar'}
%%
return {ok='x'}
%%
return {ok=1}
%%
return {err=1}
%%
return redis.error_reply('x')
%%
return redis.error_reply('MY x')
%%
return redis.error_reply('-MY x')
%%
return redis.error_reply()
%%
return redis.status_reply('x')
%%
return redis.status_reply(1)
%%
x y
%%
return (
%%
redis.call('set','a','b') return redis.call('incr','a')
%%
redis.call('set','a','b') return {redis.pcall('incr','a').err}
%%
local a,b=pcall(redis.call,'incr','a') return {tostring(a),type(b),b.err,tostring(b.source),tostring(b.line),tostring(b.ignore_error_stats_update)}
%%
local a,b=pcall(function() error('x') end) return {tostring(a),type(b),tostring(b)}
%%
local a,b=pcall(function() error({err='x'}) end) return {tostring(a),type(b),tostring(b.err)}
%%
local a,b=pcall(function() return nil..'' end) return tostring(b)
%%
return tostring(redis)
%%
string.x=1
%%
redis.x=1
%%
rawset(string,'x',1)
%%
rawset(_G,'x',1)
%%
setmetatable(_G,{})
%%
local t={} return {tostring(getmetatable('')), type(getmetatable('').__index)}
%%
getmetatable('').__index=function() end
%%
return redis.log(1)
%%
return redis.log(1,'x')
%%
return redis.log(9,'x')
%%
return redis.sha1hex()
%%
return redis.sha1hex(1)
%%
return redis.setresp(4)
%%
return redis.setresp()
%%
return redis.set_repl(1)
%%
return redis.replicate_commands()
%%
return loadstring('return 1+1')()
%%
return load(function() return nil end)
%%
return tostring(print)
%%
return tostring(unpack)
%%
return os.clock()
%%
return tostring(os.time)
%%
return tostring(setfenv)
%%
return tostring(getfenv)
%%
return _VERSION
%%
return require
%%
return debug
%%
return 3.99
%%
return -3.99
%%
return 1e300
%%
return 0/0
%%
return true
%%
return false
%%
return nil
%%
return {1,2,nil,4}
%%
return {1,{2,{3}},false,true,'x',3.7}
%%
return function() end
%%
return {function() end}
%%
return {a=1}
%%
return redis
%%
return {double=3.5}
%%
return {map={a=1}}
%%
return {big_number='1'}
%%
local t={} for i=1,100 do t={t} end return t
%%
return cjson.encode({1,2,{a=1}})
%%
return {KEYS, ARGV}
%%
KEYS[1]='x' return KEYS
%%
KEYS={'y'} return KEYS
%%
local function f() foo() end f()
%%


error('x')
%%


return redis.call('incr','a')
%%
return tostring(_G)
%%
return ARGV['x']
%%
return redis['nope']
%%
return string['nope']
%%
return redis.nope()
%%
local a,b=pcall(function() error({err='x'}) end) return b
%%
local a,b=pcall(function() error({err='ERR x y'}) end) return b
%%
local a,b=pcall(redis.call,'incr') return b
%%
redis.call('set','a','b') local a,b=pcall(redis.call,'incr','a') return b
%%
local a,b=pcall(function() error({1,2}) end) return type(b)
%%
local a,b=pcall(function() error({x=5}) end) return b
%%
local a,b=pcall(function() error(setmetatable({},{__tostring=function() return 'hi' end})) end) return tostring(b)
%%
local a,b=pcall(function() error(5) end) return type(b)
%%
local a,b=pcall(function() error(true) end) return type(b)
%%
local a,b=xpcall(function() error({err='q'}) end, function(e) return type(e) end) return b
%%
local a,b=xpcall(function() redis.call('incr','a') end, function(e) return type(e) end) return b
%%
local r=redis.pcall('incr','a') local k={} for a,b in pairs(r) do k[#k+1]=a..'='..tostring(b) end return k
%%
local r=redis.pcall('incr','a') return r
%%
local r=redis.pcall('incr','a') error(r)
%%
error(redis.error_reply('x'))
%%
error(redis.error_reply('MY boo'))
%%
local r=redis.error_reply('x') local k={} for a,b in pairs(r) do k[#k+1]=a..'='..tostring(b) end return k
%%
return {redis.error_reply('x'),1}
%%
error(5)
%%
error(true)
%%
error('MYERR x',0)
%%
error('-MYERR x',0)
%%
error('x',2)
%%
error("a\r\nb")
%%
return {err='a\r\nb'}
%%
return {ok='a\r\nb'}
%%
return {ok='a',err='b'}
%%
return {err='b',1,2}
%%
return {ok='b',1,2}
%%
local t=setmetatable({},{__index=function(t,k) return k<3 and k or nil end}) return t
%%
local t=setmetatable({},{__index=function(t,k) error('zz') end}) return t
%%
return {nil,1}
%%
return redis.call('get','nokey')
%%
return type(redis.call('get','nokey'))
%%
return redis.call('mget','nokey','b')
%%
return redis.call('set','k',5)
%%
return redis.call('set','k',5).ok
%%
redis.call('set','k',0.1) return redis.call('get','k')
%%
redis.call('set','k',1e17) return redis.call('get','k')
%%
redis.call('set','k',1e16) return redis.call('get','k')
%%
redis.call('set','k',0/0) return redis.call('get','k')
%%
redis.call('set','k',1/0) return redis.call('get','k')
%%
redis.call('set','k',true)
%%
redis.call('set','k',nil)
%%
redis.call(nil)
%%
redis.call(true)
%%
redis.call(5)
%%
return redis.call('GeT','k')
%%
redis.setresp(3) return redis.call('get','nokey')
%%
redis.setresp(3) return type(redis.call('get','nokey'))
%%
return tostring(3.0)
%%
return tostring(1e15)
%%
return tostring(2^53)
%%
return tostring(0/0)
%%
return tostring(-(0/0))
%%
return 1/0 ..''
%%
return string.format('%5.1f|%d|%s|%q|%x|%g',3.14159,42,'a','b"c\n',255,1e20)
%%
return string.format('%p',{})
%%
return string.format('%d',3.7)
%%
return string.format('%i',3.7)
%%
return string.format('%s',{})
%%
return string.format('%s')
%%
return string.format('%y',1)
%%
return ('x'):rep(3,',')
%%
return table.concat({1,2,3},', ')
%%
return table.concat({1,{},3},', ')
%%
return tostring(cjson.null)
%%
return unpack({1,2,3})
%%
return {unpack({1,2,3})}
%%
return select('#',1,2,3)
%%
return tonumber('1e1')
%%
return tonumber('z',36)
%%
return cjson.nope
%%
return KEYS[1]
%%
return #KEYS
%%
return KEYS.x
%%
KEYS={1} return KEYS
%%
_G.x=1
%%
_G.KEYS={'a'} return KEYS
%%
local _ENV={} x=1
%%
goto a
%%
return 5 // 2
%%
return 1 & 2
%%
return 1,2
%%
return "\65\066"
%%
return [[a
b]]
%%
--[[ c ]] return 1
%%
#comment
return 1
%%
return getmetatable('').__index==string
%%
return getmetatable('').__name
%%
for i=1,2 do end return i
%%
return collectgarbage()
%%
return collectgarbage('stop')
%%
return type(_G._G)
%%
return rawget(_G,'nope')
%%
return rawequal(_G,_G)
%%
return newproxy
%%
return xpcall(function() error('x') end, function(e) return 'H'..e end)
%%
return {xpcall(function() error('x') end, function(e) return 'H'..e end)}
%%
return {pcall(error)}
%%
return redis.sha1hex('')
%%
return redis.sha1hex('a','b')
%%
return redis.sha1hex({})
%%
return redis.log(redis.LOG_NOTICE,'a','b',1,{})
%%
return redis.log('x','y')
%%
return redis.status_reply('x',1)
%%
return redis.error_reply('')
%%
return redis.error_reply('a\nb')
%%
return {redis.LOG_DEBUG,redis.LOG_VERBOSE,redis.LOG_NOTICE,redis.LOG_WARNING,redis.REPL_ALL,redis.REPL_AOF,redis.REPL_NONE,redis.REPL_REPLICA,redis.REPL_SLAVE}
%%
return redis.set_repl(99)
%%
return redis.set_repl()
%%
return redis.setresp('x')
%%
return tostring(gcinfo)
%%
return string.rep('ab',3)
%%
return {string.find('hello world','o w')}
%%
return {string.find('hello','l+')}
%%
return {('key=val'):match('(%w+)=(%w+)')}
%%
return {string.gsub('hello','l','L')}
%%
return {string.gsub('abc','%w','%0%0')}
%%
return {string.gsub('abc','','-')}
%%
return {string.gsub('hello world','%w+',function(w) return w:upper() end)}
%%
return {string.gsub('$a $b','%$(%w+)',{a='1'})}
%%
local r={} for w in string.gmatch('one two three','%a+') do r[#r+1]=w end return r
%%
return string.find('a','[')
%%
return string.find('a','%')
%%
return string.find('a','(')
%%
return string.find(nil,'a')
%%
return string.find()
%%
return ('x'):bad()
%%
return string.format('%d','x')
%%
return string.sub()
%%
return string.byte('abc',1,-1)
%%
return {string.byte('abc',1,-1)}
%%
return string.char(256)
%%
return tonumber('  12  ')
%%
return tonumber('abc')
%%
return tonumber()
%%
return tonumber('10',2)
%%
return math.floor(3.7)
%%
return math.floor('x')
%%
return math.max(1,5,3)
%%
return math.max()
%%
return math.huge
%%
return tostring(math.pi)
%%
return tostring(math.sin(1))
%%
return {math.modf(3.7)}
%%
return tostring(math.fmod(7,3))
%%
return math.random(0)
%%
return math.random(5,1)
%%
return math.random('x')
%%
return math.random(1,2,3)
%%
return {table.concat({1,2},',',1,2)}
%%
local t={3,1,2} table.sort(t) return t
%%
local t={3,1,2} table.sort(t,function(a,b) return a>b end) return t
%%
local t={3,'x',2} table.sort(t) return t
%%
local t={3,1,2} table.sort(t,function(a,b) return true end) return t
%%
local t={} table.insert(t,1) table.insert(t,1,0) return t
%%
local t={} table.insert(t,1,2,3) return t
%%
local t={} table.insert(t) return t
%%
table.insert(nil,1)
%%
return table.remove({1,2,3})
%%
return table.remove({})
%%
return table.remove({1,2,3},1)
%%
return table.getn({1,2})
%%
return table.maxn({1,2,[10]=1})
%%
table.setn({},1)
%%
local r={} table.foreach({1,2},function(k,v) r[#r+1]=k end) return r
%%
local r={} table.foreachi({1,2},function(k,v) r[#r+1]=v end) return r
%%
return #{1,2,nil,4}
%%
return #{nil,nil,3}
%%
return #{1,nil,3}
%%
return next({})
%%
return next({5})
%%
return {next({5})}
%%
return next(nil)
%%
return next({},1)
%%
return next({1},'x')
%%
local t={1,2,3} local r={} for k,v in next,t do r[#r+1]=v end return r
%%
for k,v in pairs() do end
%%
for k,v in pairs(5) do end
%%
for k,v in ipairs() do end
%%
return ipairs
%%
return {pcall(function() return pairs(nil) end)}
%%
return {pcall(error,'x')}
%%
return {pcall(error,{err='x'})}
%%
return {pcall(5)}
%%
return xpcall()
%%
return {xpcall(5,5)}
%%
return rawequal(1,1)
%%
return rawset(5,1,1)
%%
return rawget(5,1)
%%
return setmetatable(5,{})
%%
return setmetatable({},5)
%%
return getmetatable(setmetatable({},{__metatable='x'}))
%%
return setmetatable(setmetatable({},{__metatable='x'}),{})
%%
local t=setmetatable({},{__index={a=5}}) return t.a
%%
local t=setmetatable({},{__call=function(s,x) return x*2 end}) return t(4)
%%
local t=setmetatable({},{__tostring=function() return 'T!' end}) return tostring(t)
%%
local t=setmetatable({},{__tostring=function() return 5 end}) return tostring(t)
%%
return tostring()
%%
return type()
%%
return type(nil)
%%
return type(redis)
%%
return select(-1,1,2)
%%
return select(0)
%%
return select('x')
%%
return assert(false)
%%
return assert(nil,'msg')
%%
return assert(1,'msg')
%%
return assert()
%%
return {assert(false,{err='x'})}
%%
return unpack()
%%
return unpack(5)
%%
return loadstring('x y')
%%
return {loadstring('x y')}
%%
return {loadstring('x y','name')}
%%
return {loadstring('x y','@name')}
%%
return loadstring('return KEYS[1]')()
%%
return {load(function() error('x') end)}
%%
local n=0 return load(function() n=n+1 return n==1 and 'return 5' or nil end)()
%%
return load('return 1')
%%
local a a.b=1
%%
local a=nil return a.b.c
%%
return ('x')+1
%%
return {}+1
%%
return {}<{}
%%
return {}<1
%%
return 'a'<1
%%
return #5
%%
return -{}
%%
return nil..'x'
%%
local f=5 f()
%%
KEYS.x.y=1
%%
redis.call('get').x=1
%%
return redis.call('echo','x')
%%
return redis.call('ping')
%%
return redis.pcall('ping')
%%
return redis.call('mget','a','b')
%%
redis.call('set','k1','v') return redis.call('mget','k1','k2')
%%
redis.call('set','k1','v') local r=redis.call('mget','k1','k2') return {r[1],r[2]==false,#r}
%%
return redis.call('exists','k1','k1')
%%
return redis.call('set','k1',{})
%%
return redis.pcall('set','k1',{})
%%
return redis.pcall()
%%
return redis.pcall(nil)
%%
return {pcall(redis.call)}
%%
return {pcall(redis.pcall,'nope')}
%%
redis.call('set','k1',12345678901234567890) return redis.call('get','k1')
%%
redis.call('set','k1',9007199254740993) return redis.call('get','k1')
%%
redis.call('set','k1',123456789012) return redis.call('get','k1')
%%
redis.call('set','k1',-1.5) return redis.call('get','k1')
%%
redis.call('set','k1',1e100) return redis.call('get','k1')
%%
redis.call('set','k1',2^63) return redis.call('get','k1')
%%
return 2^53
%%
return 2^63
%%
return -2^63
%%
return 9.99999
%%
return {1.5,-1.5,'1.5'}
%%
return {true,false,nil,true}
%%
return {{},{{}}}
%%
return {ok='a b',1}
%%
return {{ok='a'},{err='b'},1}
%%
return {[1]='a',[3]='c'}
%%
return {map={a={1,2}}}
%%
return {set={a=true}}
%%
return {double=0/0}
%%
return {big_number='12\n3'}
%%
return {verbatim_string={format='txt',string='abc'}}
%%
return {verbatim_string={string='abc'}}
%%
return {err=5,1}
%%
return {ok='x',double=1}
%%
return {map=5}
%%
return string
%%
return _G
%%
return redis.call
%%
return cjson.null
%%
return {cjson.null}
%%
return cjson.encode(cjson.null)
%%
return cjson.encode(nil)
%%
return cjson.encode()
%%
return cjson.encode(1,2)
%%
return cjson.encode({})
%%
return cjson.encode({1,nil,3})
%%
return cjson.encode({[1]=1,[100]=2})
%%
return cjson.encode({[1]=1,[5]=2})
%%
return cjson.encode({['1']=1})
%%
return cjson.encode({[1.5]=1})
%%
return cjson.encode({[true]=1})
%%
return cjson.encode({[-1]=1})
%%
return cjson.encode({a=1})
%%
return cjson.encode(1.5)
%%
return cjson.encode(1e15)
%%
return cjson.encode(12345678901234567)
%%
return cjson.encode(0.1)
%%
return cjson.encode(-0)
%%
return cjson.encode(0/0)
%%
return cjson.encode(1/0)
%%
return cjson.encode(true)
%%
return cjson.encode(print)
%%
return cjson.encode(type)
%%
return cjson.encode({type})
%%
local t={} t.x=t return cjson.encode(t)
%%
return cjson.decode('')
%%
return cjson.decode('{')
%%
return cjson.decode('[')
%%
return cjson.decode('[1')
%%
return cjson.decode('[1,')
%%
return cjson.decode('[1,]')
%%
return cjson.decode('[1 2]')
%%
return cjson.decode('{"a"')
%%
return cjson.decode('{"a":')
%%
return cjson.decode('{"a":1')
%%
return cjson.decode('{"a":1,')
%%
return cjson.decode('{"a":1,}')
%%
return cjson.decode('{a:1}')
%%
return cjson.decode('{1:1}')
%%
return cjson.decode('x')
%%
return cjson.decode('1 x')
%%
return cjson.decode('1 2')
%%
return cjson.decode('[1]]')
%%
return cjson.decode('"abc')
%%
return cjson.decode('"a\\qb"')
%%
return cjson.decode('"a\\u12"')
%%
return cjson.decode('"\\u00e9\\u20ac\\ud83d\\ude00"')
%%
return cjson.decode('"\\ud83d"')
%%
return cjson.decode('"\\n\\t\\/\\\\"')
%%
return cjson.decode('null')==cjson.null
%%
return cjson.decode('[null,true,false]')
%%
return tostring(cjson.decode('1.5e3'))
%%
return tostring(cjson.decode('-0.5'))
%%
return tostring(cjson.decode('1e400'))
%%
return tostring(cjson.decode('nan'))
%%
return tostring(cjson.decode('inf'))
%%
return tostring(cjson.decode('-inf'))
%%
return tostring(cjson.decode('Infinity'))
%%
return tostring(cjson.decode('01'))
%%
return tostring(cjson.decode('1.'))
%%
return tostring(cjson.decode('.5'))
%%
return tostring(cjson.decode('+1'))
%%
return tostring(cjson.decode('-'))
%%
return tostring(cjson.decode('--1'))
%%
return cjson.decode('true1')
%%
return cjson.decode('tru')
%%
return cjson.decode('nullx')
%%
return cjson.decode(5)
%%
return cjson.decode({})
%%
return cjson.decode()
%%
return cjson.decode('{"a":{"b":[1,2,{"c":"d"}]}}').a.b[3].c
%%
return cjson.decode(' [ 1 , 2 ] ')
%%
return {pcall(cjson.decode,'x')}
%%
return cjson.decode(string.rep('[',1001))
%%
return cjson.decode(string.rep('[',1000)..string.rep(']',1000))~=nil
%%
local t={} for i=1,1000 do t={t} end return #cjson.encode(t)
%%
local t={} for i=1,1001 do t={t} end return cjson.encode(t)
%%
return cjson.encode_max_depth()
%%
return cjson.encode_max_depth(5)
%%
return cjson.encode_number_precision(20)
%%
return {cjson.encode_sparse_array()}
%%
return cjson.encode_keep_buffer()
%%
return cjson.decode_invalid_numbers()
%%
return cjson.encode_invalid_numbers()
%%
return cmsgpack.pack()
%%
return cmsgpack.pack(nil,true,false)
%%
return cmsgpack.pack(0,127,128,255,256,65535,65536,4294967295,4294967296)
%%
return cmsgpack.pack(-1,-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649)
%%
return cmsgpack.pack(1.5,0.1,1e300,0/0,1/0)
%%
return cmsgpack.pack(2^53,-2^53,2^63,2^64,-2^63)
%%
return cmsgpack.pack('',string.rep('a',31),string.rep('a',32),string.rep('a',255),string.rep('a',256),string.rep('a',70000))
%%
return cmsgpack.pack({},{1},{1,2,3},{a=1},{[2]=1},{1,nil,3})
%%
return cmsgpack.pack({1,2,{3,{4}}})
%%
local t={} for i=1,20 do t={t} end return cmsgpack.pack(t)
%%
local t={} for i=1,20 do t[i]=i end return cmsgpack.pack(t)
%%
return cmsgpack.pack(type)
%%
return {cmsgpack.unpack(cmsgpack.pack(1,'a',nil,true))}
%%
return {cmsgpack.unpack('')}
%%
return {cmsgpack.unpack('\193')}
%%
return {cmsgpack.unpack('\146\1')}
%%
return {cmsgpack.unpack('\163a')}
%%
return {cmsgpack.unpack('\205\1')}
%%
return {cmsgpack.unpack()}
%%
return {cmsgpack.unpack(5)}
%%
return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3))}
%%
return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3),1)}
%%
return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3),2)}
%%
return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3),4)}
%%
return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3),-1)}
%%
return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3),2)}
%%
return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3),2,1)}
%%
return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3),0)}
%%
return {cmsgpack.unpack_limit('x')}
%%
return tostring(cmsgpack.unpack(cmsgpack.pack(2^53)))
%%
return tostring(cmsgpack.unpack(cmsgpack.pack(-5000000000)))
%%
return tostring(cmsgpack.unpack(cmsgpack.pack(0.1)))
%%
return bit.tobit(2^32+5)
%%
return bit.tobit(1.5)
%%
return bit.tobit(-1.5)
%%
return bit.tohex(255)
%%
return bit.tohex(255,2)
%%
return bit.tohex(-1,-4)
%%
return bit.tohex(255,20)
%%
return bit.bnot(0)
%%
return bit.bor(1,2,4,2^31)
%%
return bit.bxor(5,3)
%%
return bit.band(5)
%%
return bit.band()
%%
return bit.band('x')
%%
return bit.band('5',4)
%%
return bit.lshift(1,33)
%%
return bit.lshift(1)
%%
return bit.rshift(-1,28)
%%
return bit.arshift(-256,4)
%%
return bit.tobit('x')
%%
return bit.tohex({})
%%
return struct.pack('b',1)
%%
return struct.pack('>HhIl',1,-2,3,-4)
%%
return struct.pack('<HhIl',1,-2,3,-4)
%%
return struct.pack('!4bi',1,2)
%%
return struct.pack('!bd',1,2)
%%
return struct.pack('s','abc')
%%
return struct.pack('c5','abcde')
%%
return struct.pack('c5','abc')
%%
return struct.pack('c2','abc')
%%
return struct.pack('c0','abc')
%%
return struct.pack('f',1.5)
%%
return struct.pack('d',0.1)
%%
return struct.pack('>d',0.1)
%%
return struct.pack('i3',5)
%%
return struct.pack('i33',5)
%%
return struct.pack('q',5)
%%
return struct.pack('x')
%%
return struct.pack('!3b',1)
%%
return struct.pack('b')
%%
return struct.pack('s',5)
%%
return struct.pack('B',300)
%%
return struct.pack('h',-40000)
%%
return struct.pack('i',1e20)
%%
return struct.pack('T',5)
%%
return struct.pack('i16',-5)
%%
return {struct.unpack('b','\255')}
%%
return {struct.unpack('B','\255')}
%%
return {struct.unpack('>H','\1\2')}
%%
return {struct.unpack('<h','\254\255')}
%%
return {struct.unpack('s','abc\0def')}
%%
return {struct.unpack('s','abc')}
%%
return {struct.unpack('c3','abcdef')}
%%
return {struct.unpack('bc0','\3abcdef')}
%%
return {struct.unpack('c0','abc')}
%%
return {struct.unpack('i','ab')}
%%
return {struct.unpack('b','ab',2)}
%%
return {struct.unpack('b','ab',3)}
%%
return {struct.unpack('b','ab',0)}
%%
return {struct.unpack('l','\255\255\255\255\255\255\255\255')}
%%
return {struct.unpack('>i16',struct.pack('>i16',-5))}
%%
return tostring(struct.unpack('f',struct.pack('f',0.1)))
%%
return struct.size('bhil')
%%
return struct.size('!bhil')
%%
return struct.size('s')
%%
return struct.size('c0')
%%
return struct.size('c10')
%%
return struct.size('!4bd')
%%
return string.gfind
%%
return ARGV[2]+1
%%
return #ARGV
%%
return {#KEYS,KEYS[1],KEYS[2],ARGV[3]}
%%
table.insert(KEYS,'z') return KEYS
%%
local a <const> = 1
%%
return redis.sha1hex('x')
%%
redis.log(redis.LOG_WARNING,'x') return 1
%%
return type(redis.log)
%%
return ('%5s|%-5s|'):format('a','b')
%%
return string.format('%q','a\0b\r')
%%
return string.format('%c%c',65,66)
%%
return string.format('%e',12345.678)
%%
return string.format('%g',0.1)
%%
return string.format('%.3f',2/3)
%%
return string.format('%10.4s|','abcdefgh')
%%
return string.format('%s %s',1,2)
%%
return string.format('%u',-1)
%%
return string.format('%X',255)
%%
return string.format('%o',8)
%%
return string.format('%')
%%
return string.format('%100d',1)
%%
return tostring(-0)
%%
return 10%3
%%
return -10%3
%%
return 10%-3
%%
return tostring(5/0)
%%
return tostring(2^0.5)
%%
return tostring(10/3)
%%
return 'a'..1 ..2.5
%%
return 1e3
%%
return 1 and 2
%%
return nil or 'x'
%%
return not nil
%%
return 'a' == 'a' and 1 or 2
%%
local function f(...) return select('#',...) end return f(nil,nil)
%%
local t={} for i=10,1,-3 do t[#t+1]=i end return t
%%
local i=0 repeat i=i+1 until i>5 return i
%%
local i=0 while true do i=i+1 if i>5 then break end end return i
%%
do local x=5 end return x
%%
return (function(a,...) return a,... end)(1,2,3)
%%
return os
%%
return io
%%
return {unpack({1,2,3}, 2), unpack({1,2,3}, '2', 3)}
%%
return {unpack({1,2,3}, 2.7, 3.2), select('#', unpack({}, -1, 2))}
%%
return unpack({}, 1, 1e9)
%%
return unpack({}, 1, 8001)
%%
return unpack({}, 1, {})
%%
return unpack({}, 'x')
%%
return struct.unpack('d', 'abcdefgh', 0/0)
%%
return cjson.decode('[1.5e3, 1e-2, 12., 1.e2, -3E+2, 0x1F, 7e]')
%%
return {cjson.decode('[12e]')}
%%
return tostring(cjson.decode('12.5E+3'))
%%
