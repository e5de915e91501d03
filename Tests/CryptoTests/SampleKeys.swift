// SampleKeys: keys, messages and signatures that the standards publish, and PEM texts of those keys and of keys that are refused.
import Base
import Crypto

enum SampleKeys {
    /// The claims of RFC 7515 Appendix A.1 to A.3: iss, exp, and no sub.
    static let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    static let rsaMessage = "eyJhbGciOiJSUzI1NiJ9." + payload
    static let p256Message = "eyJhbGciOiJFUzI1NiJ9." + payload
    static let ed25519Message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"

    /// RFC 7515 Appendix A.2.
    static let rsaModulus = """
        ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-\
        pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2Ca\
        pHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb5\
        4h4FRWyuXpoQ
        """
    static let rsaExponent = "AQAB"
    static let rsaSignature = """
        cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr\
        7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--x\
        i12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_Ioy\
        pGlUPQGe77Rw
        """

    /// RFC 7515 Appendix A.3.
    static let p256X = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
    static let p256Y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    static let p256Signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

    /// RFC 8037 Appendix A.1 and A.4.
    static let ed25519 = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    static let ed25519Signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"

    /// The same three keys as PEM, and the P-256 one in a certificate that ended in 2021.
    static let rsaPEM = """
        -----BEGIN PUBLIC KEY-----
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj
        NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz
        P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo
        9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB
        EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX
        FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp
        oQIDAQAB
        -----END PUBLIC KEY-----
        """
    static let p256PEM = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7
        6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==
        -----END PUBLIC KEY-----
        """
    static let ed25519PEM = """
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
        -----END PUBLIC KEY-----
        """
    static let certificatePEM = """
        -----BEGIN CERTIFICATE-----
        MIIBCTCBsaADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBHRlc3QwHhcN
        MjAwMTAxMDAwMDAwWhcNMjEwMTAxMDAwMDAwWjAPMQ0wCwYDVQQDDAR0ZXN0MFkw
        EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8T
        us9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrTAKBggqhkjO
        PQQDAgNHADBEAiBL3zs+LenlxFFcGMbB4uKIjdx4L7FqV2OD9rP1RobDfAIgWPYX
        RyNzX137pdTw9zMExUlrvzDED1GrcFgkwYzq3Os=
        -----END CERTIFICATE-----
        """

    /// Keys that are none for this server.
    static let rsa1024PEM = """
        -----BEGIN PUBLIC KEY-----
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCe8BnrSy24iSeJkMTeg+DBibA6
        20UcoOb7tcye2nVVib76m8kMzIh4izlBd21OfynGwIEEP+A4h7lEHmrvlPS2Y6QV
        eNROPnl+e9TKbNiGqTJnoy+NxPsCWYfQFv8FIXR13tWWTjXHyqaV1b9E2Nhfz9c1
        M3YWBrHhgXE7noJIdwIDAQAB
        -----END PUBLIC KEY-----
        """
    static let rsaPSSPEM = """
        -----BEGIN PUBLIC KEY-----
        MIIBIDALBgkqhkiG9w0BAQoDggEPADCCAQoCggEBAMnALm8L8MW+C1KQgZRK4kdp
        aqsj/aZYRMABNQfnWSZ1zs0AakmHI/ikhDhElruHXtt2xhu0KoOOKjBQOaUeuTAX
        JscO5BwvNH3apeDPdrW1enSSGbUc7a35DsbZJFjvp93QDJAcRKwAKnIlngkCVy62
        FMt89Nm88akGCzVYVozNPElJ7cjwu1eZTKxia4yrx1rRckKURqDm0NJKl2IGDxhF
        wcQpNy27mwO4/G6IDG8G5cNosnQXs8eFW+vYdyi3tGvjwHyuQZTBynn26DFPGJXt
        gnBoKyouXdD2XQB4NYgHGrAQUCHtayrqVMcRo8ky1sKA2QrWTMtT4C4BRmE4UG0C
        AwEAAQ==
        -----END PUBLIC KEY-----
        """
    static let p384PEM = """
        -----BEGIN PUBLIC KEY-----
        MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE2/+a/pkYRePjQHibw7gkZLXdrAyenvWP
        JMXTsk+xjahxsTspESjp+bcQgvIlCbLjCoExnPqVurBm7KR0Fap1sHiNKRw6Tw32
        yD7PX1/dSpwCSPKfN4XJWnUpxLc9irm8
        -----END PUBLIC KEY-----
        """
    static let secp256k1PEM = """
        -----BEGIN PUBLIC KEY-----
        MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE3k15PtP+ePP9tfiKAuWf0cWRceqQM8Qf
        GipCtbiwrtpzPGxZ0A3hVF9tKcuvr0tYP54Po1lOXWbJZ0gZ1iQrAA==
        -----END PUBLIC KEY-----
        """
    static let x25519PEM = """
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VuAyEA5RNS+IZCF0vhkHgyDD0IrW29/IQTBSTyO4hcurUVTkk=
        -----END PUBLIC KEY-----
        """
    /// P-256, its curve by parameters instead of by name; and the same with the public key as generator (CVE-2020-0601).
    static let spelledCurvePEM = """
        -----BEGIN PUBLIC KEY-----
        MIIBSzCCAQMGByqGSM49AgEwgfcCAQEwLAYHKoZIzj0BAQIhAP////8AAAABAAAA
        AAAAAAAAAAAA////////////////MFsEIP////8AAAABAAAAAAAAAAAAAAAA////
        ///////////8BCBaxjXYqjqT57PrvVV2mIa8ZR0GsMxTsPY7zjw+J9JgSwMVAMSd
        NgiG5wSTamZ44ROdJreBn36QBEEEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5
        RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9QIhAP////8AAAAA
        //////////+85vqtpxeehPO5ysL8YyVRAgEBA0IABBr1C6ST/a8LzTnubvN6FVbP
        RPuOzaCpEEsH8pd+mJEnLWfDxVVHADxG8WURpHUGwqEU929tKOWa6u6IfWAPhqw=
        -----END PUBLIC KEY-----
        """
    static let otherGeneratorPEM = """
        -----BEGIN PUBLIC KEY-----
        MIIBSzCCAQMGByqGSM49AgEwgfcCAQEwLAYHKoZIzj0BAQIhAP////8AAAABAAAA
        AAAAAAAAAAAA////////////////MFsEIP////8AAAABAAAAAAAAAAAAAAAA////
        ///////////8BCBaxjXYqjqT57PrvVV2mIa8ZR0GsMxTsPY7zjw+J9JgSwMVAMSd
        NgiG5wSTamZ44ROdJreBn36QBEEEGvULpJP9rwvNOe5u83oVVs9E+47NoKkQSwfy
        l36YkSctZ8PFVUcAPEbxZRGkdQbCoRT3b20o5Zrq7oh9YA+GrAIhAP////8AAAAA
        //////////+85vqtpxeehPO5ysL8YyVRAgEBA0IABBr1C6ST/a8LzTnubvN6FVbP
        RPuOzaCpEEsH8pd+mJEnLWfDxVVHADxG8WURpHUGwqEU929tKOWa6u6IfWAPhqw=
        -----END PUBLIC KEY-----
        """

    static func decoded(_ text: String) -> [UInt8] {
        var writer = ByteWriter()
        do throws(Base64Error) { try Base64.decode(SharedBytes(text).span, .urlSafe, into: &writer) } catch { return [] }
        return writer.span.indices.map { writer.span[$0] }
    }

    static func rsa() throws(PublicKeyError) -> PublicKey {
        try PublicKey(rsaModulus: decoded(rsaModulus).span, exponent: decoded(rsaExponent).span)
    }

    static func p256() throws(PublicKeyError) -> PublicKey {
        try PublicKey(p256X: decoded(p256X).span, y: decoded(p256Y).span)
    }

    static func edwards() throws(PublicKeyError) -> PublicKey { try PublicKey(ed25519: decoded(ed25519).span) }
}
